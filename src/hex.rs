//! Base 16 (RFC 4648 §8).

/// The byte that two hexadecimal digits of either case stand for.
pub fn byte(high: u8, low: u8) -> Option<u8> {
    Some((digit(high)? << 4) | digit(low)?)
}

/// `bytes` in lower case.
pub fn lower(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().map(char::from);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).flatten().collect()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        for value in 0..=u8::MAX {
            let text = lower(&[value]);
            assert_eq!(text, format!("{value:02x}"));
            assert_eq!(byte(text.as_bytes()[0], text.as_bytes()[1]), Some(value));
        }
        assert_eq!(byte(b'F', b'f'), Some(0xff));
        assert_eq!(byte(b'g', b'0'), None);
        assert_eq!(byte(b'0', b'/'), None);
    }
}
