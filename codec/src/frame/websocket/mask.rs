//! Masking of client frames (RFC 6455 section 5.3).

/// Octets that are combined at once; wide enough for the compiler to use vector registers.
const WORD: usize = size_of::<u64>();

/// Masks or, being its own inverse, unmasks `data` in place.
pub fn apply_mask(data: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = data.as_chunks_mut::<WORD>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (octet, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *octet ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::apply_mask;

    /// The definition in the RFC: octet i is combined with octet i mod 4 of the key.
    fn by_definition(data: &[u8], key: [u8; 4]) -> Vec<u8> {
        data.iter()
            .enumerate()
            .map(|(i, octet)| octet ^ key[i % 4])
            .collect()
    }

    proptest! {
        #[test]
        fn equals_the_definition(data in proptest::collection::vec(any::<u8>(), 0..200), key: [u8; 4], skip in 0..9usize) {
            let skip = skip.min(data.len());
            let mut masked = data.clone();
            apply_mask(&mut masked[skip..], key);
            prop_assert_eq!(&masked[skip..], &by_definition(&data[skip..], key)[..]);
            apply_mask(&mut masked[skip..], key);
            prop_assert_eq!(masked, data);
        }
    }
}
