//! The test vectors of the WAMP specification, for the serializers that this crate has.
//!
//! They are looked for at `CROSSPOINT_VECTORS`, or in `../shared/vectors` beside the workspace. Where neither is
//! there the tests say so and pass, unless `CROSSPOINT_REQUIRE_VECTORS` is 1.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use bytes::{Bytes, BytesMut};
use crosspoint_codec::core::message::Message;
use crosspoint_codec::core::payload::{Format, Payload};
use crosspoint_codec::{DecodeError, Limits, decode, encode, transcode};
use serde_json::Value as Json;

/// What INDEX.md of the vectors counts; a test that finds fewer has not read them all.
const SERIALIZATION_SAMPLES: usize = 35;
const BYTE_STRINGS: usize = 59 + 35 + 35 + 35 + 35;
const FLATBUFFERS: usize = 34;
const VALIDATION_SAMPLES: usize = 67;
const REFUSED_SAMPLES: usize = 28;

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let folder = env::var_os("CROSSPOINT_VECTORS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = env::var_os("CROSSPOINT_REQUIRE_VECTORS").is_some_and(|value| value == "1");
    assert!(!required, "no test vectors at {}", folder.display());
    println!("skipped: no test vectors at {}", folder.display());
    None
}

/// Every sample, with the name of its file.
fn samples() -> Option<Vec<(String, Json)>> {
    let folder = folder()?.join("singlemessage");
    let mut samples = Vec::new();
    for profile in ["basic", "advanced"] {
        let mut files: Vec<PathBuf> = fs::read_dir(folder.join(profile))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let content: Json = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            for sample in content["samples"].as_array().unwrap() {
                let name = format!("{}: {}", file.display(), sample["description"]);
                samples.push((name, sample.clone()));
            }
        }
    }
    Some(samples)
}

/// The samples that give bytes.
fn serialization_samples() -> Option<Vec<(String, Json)>> {
    let mut samples = samples()?;
    samples.retain(|(_, sample)| sample.get("serializers").is_some());
    assert_eq!(samples.len(), SERIALIZATION_SAMPLES);
    Some(samples)
}

/// The encodings of a sample in one format. UBJSON comes in both dialects, BJData as the second one.
fn variants(sample: &Json, format: Format) -> Vec<Bytes> {
    let list = sample["serializers"][format.name()].as_array().unwrap();
    let chosen = match format {
        Format::UbJson => &list[..1],
        Format::BjData => &list[1..],
        _ => list,
    };
    chosen
        .iter()
        .map(|variant| unhex(variant["bytes_hex"].as_str().unwrap()))
        .collect()
}

fn unhex(hex: &str) -> Bytes {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    pairs
        .iter()
        .map(|[high, low]| digit(*high) << 4 | digit(*low))
        .collect()
}

fn read(format: Format, input: &Bytes) -> Message {
    decode(format, input, &Limits::default()).unwrap()
}

fn write(format: Format, message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    encode(format, message, &mut out);
    out.freeze()
}

/// A message as the list that it is in JSON.
fn elements(message: &Message) -> Vec<Json> {
    serde_json::from_slice(&write(Format::Json, message)).unwrap()
}

#[test]
fn every_encoding_of_a_sample_decodes_to_the_same_message() {
    let mut count = 0;
    for (name, sample) in serialization_samples().into_iter().flatten() {
        let json = elements(&read(Format::Json, &variants(&sample, Format::Json)[0]));
        for format in Format::OF_PAYLOADS {
            for bytes in variants(&sample, format) {
                assert_eq!(elements(&read(format, &bytes)), json, "{name}, {}", format.name());
                count += 1;
            }
        }
    }
    assert!(count == BYTE_STRINGS || folder().is_none());
}

#[test]
fn what_was_decoded_has_the_expected_attributes() {
    for (name, sample) in serialization_samples().into_iter().flatten() {
        for format in Format::OF_PAYLOADS {
            let bytes = &variants(&sample, format)[0];
            let elements = elements(&read(format, bytes));
            for (attribute, expected) in sample["expected_attributes"].as_object().unwrap() {
                check_attribute(&name, &elements, attribute, expected);
            }
        }
    }
}

/// Looks for one expected attribute among the elements of a message.
fn check_attribute(name: &str, elements: &[Json], attribute: &str, expected: &Json) {
    let code = elements[0].as_u64().unwrap();
    match attribute {
        "message_type" => assert_eq!(elements[0], *expected, "{name}"),
        // The payload is the last of the elements; where its parts are absent, so are the elements.
        "args" | "kwargs" | "payload" => {
            let first = payload_index(code);
            let index = first + usize::from(attribute == "kwargs");
            let element = elements.get(index).cloned().unwrap_or_default();
            match (attribute, &element) {
                ("payload", Json::String(text)) => assert_eq!(base64_of_hex(expected), *text, "{name}"),
                ("args", Json::String(_)) => assert_eq!(*expected, Json::Null, "{name}"),
                ("payload", _) => assert_eq!(*expected, Json::Null, "{name}"),
                _ => assert_eq!(element, *expected, "{name}"),
            }
        }
        "roles" => {
            let details = elements.last().unwrap();
            assert_eq!(details["roles"], *expected, "{name}");
        }
        _ => assert!(
            elements[1..].contains(expected),
            "{name}: no {attribute} {expected}"
        ),
    }
}

/// Where `Arguments` stands in a message of type `code`.
fn payload_index(code: u64) -> usize {
    match code {
        50 | 70 => 3,
        8 => 5,
        _ => 4,
    }
}

/// The JSON form of a byte string that an expected attribute gives in hexadecimal digits.
fn base64_of_hex(hex: &Json) -> String {
    use base64::Engine as _;
    let bytes = unhex(hex.as_str().unwrap());
    format!("\0{}", base64::engine::general_purpose::STANDARD.encode(&bytes))
}

#[test]
fn a_sample_is_encoded_byte_for_byte() {
    for (name, sample) in serialization_samples().into_iter().flatten() {
        for format in Format::OF_PAYLOADS {
            let known = variants(&sample, format);
            let written = write(format, &read(format, &known[0]));
            // The samples with spaces come first; what is written has none, but for the payload, which stays as
            // it came.
            let compact = write(format, &read(format, known.last().unwrap()));
            assert!(known.contains(&compact), "{name}, {}: {compact:?}", format.name());
            assert_eq!(
                elements(&read(format, &written)),
                elements(&read(format, &compact)),
                "{name}"
            );
        }
    }
}

#[test]
fn a_sample_is_translated_byte_for_byte() {
    for (name, sample) in serialization_samples().into_iter().flatten() {
        for from in Format::OF_PAYLOADS {
            let message = read(from, variants(&sample, from).last().unwrap());
            for to in Format::OF_PAYLOADS {
                let written = write(to, &message);
                assert!(
                    variants(&sample, to).contains(&written),
                    "{name}, {from:?} to {to:?}: {written:?}"
                );
            }
        }
    }
}

#[test]
fn validation_samples_are_accepted_and_refused_as_expected() {
    let Some(samples) = samples() else { return };
    let (mut seen, mut refused) = (0, 0);
    for (name, sample) in &samples {
        let Some(message) = sample.get("wmsg") else {
            continue;
        };
        seen += 1;
        for format in Format::OF_PAYLOADS {
            let result = decode(format, &in_format(message, format), &Limits::default());
            match sample.get("expected_error") {
                None => drop(result.unwrap_or_else(|error| panic!("{name}: {error}"))),
                Some(expected) => {
                    let error = result.expect_err(name);
                    assert!(matches!(error, DecodeError::Unexpected { .. }), "{name}: {error}");
                    let contains = expected["contains"].as_str().unwrap();
                    assert!(error.to_string().contains(contains), "{name}: {error}");
                }
            }
        }
        refused += usize::from(sample.get("expected_error").is_some());
    }
    assert_eq!((seen, refused), (VALIDATION_SAMPLES, REFUSED_SAMPLES));
}

/// A message that is not one, in any format: as a payload it is just a list.
fn in_format(message: &Json, format: Format) -> Bytes {
    let payload = Payload {
        format: Format::Json,
        args: message.to_string().into(),
        kwargs: Bytes::new(),
    };
    transcode(&payload, format).args
}

#[test]
fn flatbuffers_samples_say_what_their_schema_has() {
    let mut count = 0;
    for (name, sample) in serialization_samples().into_iter().flatten() {
        let Some(list) = sample["serializers"]["flatbuffers"].as_array() else {
            continue;
        };
        let full = elements(&read(Format::Cbor, &variants(&sample, Format::Cbor)[0]));
        for variant in list {
            let bytes = unhex(variant["bytes_hex"].as_str().unwrap());
            let message = read(Format::FlatBuffers, &bytes);
            let found = elements(&message);
            // A client's roles are not in the samples, and a router's neither.
            let says = |index: usize| match (&full[0], index) {
                (code, 2) if *code == 1 || *code == 2 => Json::Null,
                _ => full[index].clone(),
            };
            for (index, element) in found
                .iter()
                .enumerate()
                .filter(|(index, _)| !says(*index).is_null())
            {
                let expected = says(index);
                match (element, &expected) {
                    (Json::Object(found), Json::Object(expected)) => {
                        for (key, value) in expected {
                            assert_eq!(found.get(key), Some(value), "{name}: {key} of {element}");
                        }
                    }
                    _ => assert_eq!(*element, expected, "{name}"),
                }
            }
            assert_eq!(found.len(), full.len(), "{name}");
            // Written and read again it is the same message.
            assert_eq!(
                read(Format::FlatBuffers, &write(Format::FlatBuffers, &message)),
                message,
                "{name}"
            );
            count += 1;
        }
    }
    assert!(count == FLATBUFFERS || folder().is_none(), "{count}");
}
