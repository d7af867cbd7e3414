//! HTTP/2 written by hand: what no library would send.

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::client::CHECK;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One connection, of which the caller writes every frame.
pub(crate) struct Frames(TcpStream);

impl Frames {
    pub(crate) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut frames = Self(stream);
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
        frames.send(&preface).unwrap();
        frames
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The data that comes on a stream, until the stream or the connection ends; the code of a GOAWAY, if one comes.
    pub(crate) fn answer(&mut self, stream: u32) -> (Vec<u8>, Option<u32>) {
        let mut data = Vec::new();
        loop {
            let mut head = [0; 9];
            if self.0.read_exact(&mut head).is_err() {
                return (data, None);
            }
            let mut payload = vec![0; usize::try_from(number(&[0, head[0], head[1], head[2]])).unwrap()];
            self.0.read_exact(&mut payload).unwrap();
            let (kind, flags, of) = (head[3], head[4], number(&head[5..]));
            match kind {
                GOAWAY => return (data, Some(number(&payload[4..8]))),
                DATA if of == stream => data.extend_from_slice(&payload),
                RST_STREAM if of == stream => return (data, None),
                _ => {}
            }
            if of == stream && flags & END_STREAM != 0 && matches!(kind, DATA | HEADERS) {
                return (data, None);
            }
        }
    }
}

/// The beginning of a check, whose message is still to come.
pub(crate) fn check_headers(stream: u32) -> Vec<u8> {
    // Static names by index (RFC 7541, appendix A), values as they are.
    let mut block = vec![0x83, 0x86];
    literal(&mut block, &[0x04], CHECK);
    literal(&mut block, &[0x01], "countersign");
    literal(&mut block, &[0x0f, 0x10], "application/grpc");
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// The rest of a check.
pub(crate) fn check_data(stream: u32, body: &[u8]) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, body)
}

/// The end of a stream by CANCEL.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

fn literal(block: &mut Vec<u8>, name: &[u8], value: &str) {
    block.extend_from_slice(name);
    block.push(u8::try_from(value.len()).unwrap());
    block.extend_from_slice(value.as_bytes());
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}
