//! Forwarded certificates: the text as it is, and as the DER within a well-formed text, so that both parsers are met.
#![no_main]

use std::fmt::Write as _;

use countersign::clock::UnixTime;
use countersign::trust::certificate::Leaf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
    check(&format!("-----BEGIN%20CERTIFICATE-----%0A{}%0A-----END%20CERTIFICATE-----%0A", base64(data)));
});

fn check(text: &str) {
    let Ok(leaf) = Leaf::read(text) else { return };
    assert!(leaf.spiffe_id.as_str().starts_with("spiffe://"));
    assert!(leaf.facts.serial.len() <= 42);
    if leaf.facts.not_after < leaf.not_before {
        assert!(leaf.check_validity(UnixTime::from_seconds(0)).is_err());
    }
}

/// Base 64, every byte URL-encoded: the target needs no dependency for it.
fn base64(data: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in data.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 0x3f];
            let digit = if place > chunk.len() { b'=' } else { digit };
            write!(text, "%{digit:02X}").expect("a string takes all");
        }
    }
    text
}
