//! What rustls' own client would not say.

use rustls::AlertDescription;
use rustls::PeerIncompatible;

use super::*;

/// A `ClientHello` (RFC 5246 §7.4.1.2) of a version that was before `supported_versions`, with the cipher suites of its
/// time and of today.
fn hello(version: u16) -> Vec<u8> {
    let suites: [u16; 4] = [0xc02b, 0xc02f, 0xc013, 0x002f];
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(sized(&suites.map(u16::to_be_bytes).concat()));
    body.extend([1, 0]);
    // supported_groups: x25519, secp256r1; ec_point_formats: uncompressed; signature_algorithms: ecdsa, rsa.
    let extensions: [(u16, &[u8]); 4] =
        [(10, &[0, 4, 0, 29, 0, 23]), (11, &[1, 0]), (13, &[0, 4, 4, 3, 4, 1]), (23, &[])];
    let extensions = extensions.map(|(kind, content)| [kind.to_be_bytes().to_vec(), sized(content)].concat()).concat();
    body.extend(sized(&extensions));
    let handshake = [vec![1, 0], sized(&body)].concat();
    [vec![22, 3, 1], sized(&handshake)].concat()
}

fn sized(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat()
}

/// What the server makes of raw bytes, and what it sends.
fn told(bytes: &[u8]) -> (Result<(), Error>, Vec<u8>) {
    let world = World::new(&[CLIENT]);
    let mut server = ServerConnection::new(Arc::new(world.server())).unwrap();
    deliver(bytes, |bytes| server.read_tls(bytes));
    let heard = server.process_new_packets().map(|_| ());
    let mut sent = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut sent).unwrap();
    }
    (heard, sent)
}

#[test]
fn j10_tls_1_1_and_older_are_refused() {
    const FATAL: u8 = 2;
    for version in [0x0302, 0x0301, 0x0300, 0x0002] {
        let (heard, sent) = told(&hello(version));
        assert_eq!(heard, Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered)), "{version:#x}");
        let alert = [21, 3, 3, 0, 2, FATAL, u8::from(AlertDescription::ProtocolVersion)];
        assert_eq!(sent, alert, "{version:#x}");
    }
    // The same in TLS 1.2 goes on.
    let (heard, sent) = told(&hello(0x0303));
    assert_eq!(heard, Ok(()));
    assert_eq!(sent[..1], [22]);
}

#[test]
fn j10_what_is_no_tls_ends_the_connection() {
    for bytes in [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", &[0; 64]] {
        let (heard, _) = told(bytes);
        assert!(heard.is_err(), "{bytes:?}");
    }
}
