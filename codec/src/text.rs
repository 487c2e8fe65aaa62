//! What reading and writing JSON text have in common.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Length of the longest beginning of `bytes` that stands for itself in a JSON string: up to the first quote,
/// backslash or control character.
///
/// Looks at eight bytes at a time, since most of a JSON message lies between quotes.
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest
        .iter()
        .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    words.len() * 8 + tail.unwrap_or(rest.len())
}

/// Sets the high bit of each byte of `word` that is special, exactly up to and including the lowest such byte;
/// borrows may set bits above it.
fn special_bytes(word: u64) -> u64 {
    let zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGHS
}

/// The bytes that a JSON string stands for, if it is NUL followed by base64 (specification, "Binary
/// conversion of JSON Strings"). Every other string is text, also one that begins with NUL.
pub(crate) fn binary_of_text(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix('\0')?).ok()
}

/// The opposite of [`binary_of_text`].
pub(crate) fn text_of_binary(bytes: &[u8]) -> String {
    format!("\0{}", STANDARD.encode(bytes))
}

/// Appends the base64 of `bytes`.
pub(crate) fn push_base64(out: &mut BytesMut, bytes: &[u8]) {
    // Three bytes at a time give four characters, without padding but for the last piece.
    const PIECE: usize = 768;
    let mut buffer = [0; PIECE / 3 * 4];
    for piece in bytes.chunks(PIECE) {
        if let Ok(length) = STANDARD.encode_slice(piece, &mut buffer) {
            out.extend_from_slice(&buffer[..length]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_run_ends_at_the_first_special_byte_wherever_it_lies() {
        for special in [0x00, 0x1f, b'"', b'\\'] {
            for length in 0..40 {
                let mut bytes = "aé~ !#[]\u{7f}\u{10ffff}".repeat(4).into_bytes();
                bytes.truncate(length);
                assert_eq!(plain_run(&bytes), length);
                bytes.push(special);
                bytes.extend_from_slice(b"abc\"def\0");
                assert_eq!(plain_run(&bytes), length, "{special:#x} at {length}");
            }
        }
    }

    #[test]
    fn plain_run_takes_every_other_byte() {
        let plain: Vec<u8> = (0..=255)
            .filter(|b| *b >= 0x20 && *b != b'"' && *b != b'\\')
            .collect();
        for start in 0..plain.len() {
            assert_eq!(plain_run(&plain[start..]), plain.len() - start);
        }
    }

    #[test]
    fn base64_in_pieces_is_base64_of_the_whole() {
        for length in [0, 1, 2, 3, 767, 768, 769, 2000] {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut out = BytesMut::new();
            push_base64(&mut out, &bytes);
            assert_eq!(out, STANDARD.encode(&bytes));
        }
    }
}
