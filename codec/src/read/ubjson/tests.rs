//! The grammar of both dialects.

use super::{BjDataReader, UbJsonReader};
use crate::error::Malformed;
use crate::read::{Keys, Passed, Reader, Token};

/// A value in words.
fn said<'a, R: Reader<'a>>(reader: &mut R) -> Result<String, Malformed> {
    Ok(match reader.token()? {
        Token::Null => "null".to_owned(),
        Token::Bool(value) => value.to_string(),
        Token::Int(value) => value.to_string(),
        Token::UInt(value) => format!("{value}u"),
        Token::Float(value) => format!("{value:?}"),
        Token::Str(text) => format!("{text:?}"),
        Token::Bytes(bytes) => format!("b{bytes:?}"),
        Token::List(mut scope) => {
            let mut items = Vec::new();
            while reader.more(&mut scope)? {
                items.push(said(reader)?);
            }
            format!("[{}]", items.join(","))
        }
        Token::Map(mut scope) => {
            let mut entries = Vec::new();
            while reader.more(&mut scope)? {
                let Token::Str(key) = reader.key()? else {
                    panic!("a key that is not text")
                };
                entries.push(format!("{key}:{}", said(reader)?));
            }
            format!("{{{}}}", entries.join(","))
        }
    })
}

fn whole<'a, R: Reader<'a>>(mut reader: R, mut skipper: R) -> Result<String, Malformed> {
    let said = said(&mut reader);
    assert_eq!(skipper.skip(16), said.as_ref().map(drop).map_err(|error| *error));
    said.and_then(|said| reader.finish().map(|()| said))
}

fn bjdata(bytes: &[u8]) -> Result<String, Malformed> {
    whole(BjDataReader::new(bytes), BjDataReader::new(bytes))
}

fn ubjson(bytes: &[u8]) -> Result<String, Malformed> {
    whole(UbJsonReader::new(bytes), UbJsonReader::new(bytes))
}

#[test]
fn scalars_of_both_dialects() {
    for (bytes, value) in [
        (&b"Z"[..], "null"),
        (b"T", "true"),
        (b"F", "false"),
        (b"i\xff", "-1"),
        (b"U\xff", "255"),
        (b"Ca", "\"a\""),
        (b"SU\x02\xc3\xa9", "\"é\""),
        (b"Si\x00", "\"\""),
        (b"HU\x0218", "18"),
        (b"HU\x1418446744073709551615", "18446744073709551615u"),
        (b"HU\x1418446744073709551616", "1.8446744073709552e19"),
        (b"HU\x061.5E+2", "150.0"),
        (b"HU\x045E-3", "0.005"),
        (b"NNU\x01NN", "1"),
    ] {
        assert_eq!(bjdata(bytes).as_deref(), Ok(value), "{bytes:x?}");
        assert_eq!(ubjson(bytes).as_deref(), Ok(value), "{bytes:x?}");
    }
}

#[test]
fn numbers_are_little_endian_in_bjdata_and_big_endian_in_ubjson() {
    for (kind, big, value) in [
        (b'I', &[0xff, 0x01][..], "-255"),
        (b'l', &[0xff, 0xff, 0xff, 0x00], "-256"),
        (b'L', &[0x80, 0, 0, 0, 0, 0, 0, 0], "-9223372036854775808"),
        (b'd', &[0x3f, 0xc0, 0, 0], "1.5"),
        (b'D', &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0], "1.5"),
    ] {
        let mut bytes = [&[kind], big].concat();
        assert_eq!(ubjson(&bytes).as_deref(), Ok(value));
        bytes[1..].reverse();
        assert_eq!(bjdata(&bytes).as_deref(), Ok(value));
    }
}

#[test]
fn bjdata_has_types_that_ubjson_has_not() {
    for (bytes, value) in [
        (&b"u\xff\xff"[..], "65535"),
        (b"m\xff\xff\xff\xff", "4294967295"),
        (b"M\x01\0\0\0\0\0\0\0", "1"),
        (b"M\0\0\0\0\0\0\0\x80", "9223372036854775808u"),
        (b"B\x07", "7"),
        (b"h\0\x3e", "1.5"),
        (b"Su\x01\0a", "\"a\""),
        (b"[$u#U\x02\x01\0\x02\0", "[1,2]"),
    ] {
        assert_eq!(bjdata(bytes).as_deref(), Ok(value), "{bytes:x?}");
        assert!(matches!(ubjson(bytes), Err(Malformed::Syntax(_))), "{bytes:x?}");
    }
}

#[test]
fn containers_with_types_and_counts() {
    for (bytes, value) in [
        (&b"[]"[..], "[]"),
        (b"{}", "{}"),
        (b"[ZTU\x01[]{}]", "[null,true,1,[],{}]"),
        (b"[NNU\x01NZN]", "[1,null]"),
        (b"[#U\x02U\x01NU\x02", "[1,2]"),
        (b"[#U\x00", "[]"),
        (b"[$i#U\x03\x01\xff\x02", "[1,-1,2]"),
        (b"[$C#U\x02ab", "[\"a\",\"b\"]"),
        (b"[$S#U\x02U\x01aU\x00", "[\"a\",\"\"]"),
        (b"[$Z#U\x03", "[null,null,null]"),
        (b"[$T#U\x01", "[true]"),
        (b"[$[#U\x03U\x01]]$i#U\x01\x05", "[[1],[],[5]]"),
        (b"[[$i#U\x01\x05Z]", "[[5],null]"),
        (b"{U\x01aU\x01i\x01bZ}", "{a:1,b:null}"),
        (b"{NU\x01aNU\x01N}", "{a:1}"),
        (b"{#U\x01U\x01a{}", "{a:{}}"),
        (b"{$U#U\x02U\x01a\x01U\x01b\x02", "{a:1,b:2}"),
        (b"{$F#U\x01U\x01a", "{a:false}"),
        (b"{$[#U\x01U\x01aZ]", "{a:[null]}"),
        (b"{U\x00Z}", "{:null}"),
    ] {
        assert_eq!(bjdata(bytes).as_deref(), Ok(value), "{bytes:x?}");
        assert_eq!(ubjson(bytes).as_deref(), Ok(value), "{bytes:x?}");
    }
}

#[test]
fn a_list_of_bytes_is_a_byte_string() {
    assert_eq!(bjdata(b"[$B#U\x02\xff\0").as_deref(), Ok("b[255, 0]"));
    assert_eq!(bjdata(b"[[$B#U\0Z]").as_deref(), Ok("[b[],null]"));
    assert_eq!(bjdata(b"[$U#U\x02\xff\0").as_deref(), Ok("[255,0]"));
    assert_eq!(ubjson(b"[$U#U\x02\xff\0").as_deref(), Ok("b[255, 0]"));
    assert_eq!(ubjson(b"[$i#U\x02\xff\0").as_deref(), Ok("[-1,0]"));
    assert_eq!(bjdata(b"[$[#U\x02$B#U\x01a]").as_deref(), Ok("[b[97],[]]"));
}

#[test]
fn what_breaks_the_grammar_is_refused() {
    for bytes in [
        &b"x"[..],
        b"]",
        b"}",
        b"[U\x01}",
        b"{Z}",
        b"{SU\x01aZ}",
        b"{U\x01aU\x01]",
        b"Si\xff",
        b"SZ",
        b"HU\x01x",
        b"HU\x00",
        b"HU\x03[1]",
        b"HU\x041 2 ",
        b"HU\x06\"text\"",
        b"[$ZZ",
        b"[$i]",
        b"[$x#U\x01a",
        b"[$N#U\x01",
        b"[$]#U\x01",
        b"[#Z",
        b"[#i\xff",
        b"[$i#\x01",
    ] {
        for result in [bjdata(bytes), ubjson(bytes)] {
            assert!(
                matches!(result, Err(Malformed::Syntax(_))),
                "{bytes:x?}: {result:?}"
            );
        }
    }
    for bytes in [&b"Ca\0"[..], b"ZZ", b"[]]", b"[#U\x01Z]", b"[$i#U\x01\x01]"] {
        assert_eq!(bjdata(bytes), Err(Malformed::Trailing), "{bytes:x?}");
        assert_eq!(ubjson(bytes), Err(Malformed::Trailing), "{bytes:x?}");
    }
    for bytes in [&b"C\xff"[..], b"SU\x01\xff", b"{U\x01\xffZ}"] {
        assert_eq!(bjdata(bytes), Err(Malformed::Utf8), "{bytes:x?}");
    }
}

#[test]
fn arrays_of_several_dimensions_and_tables_are_refused_by_name() {
    let dimensions = Malformed::Syntax("a BJData array of several dimensions");
    assert_eq!(bjdata(b"[$U#[U\x02U\x01]\x01\x02"), Err(dimensions));
    let table = Malformed::Syntax("a BJData table");
    assert_eq!(bjdata(b"[${U\x01aU}#U\x02\x01\x02"), Err(table));
    assert_eq!(ubjson(b"[${#U\x01U\x01aZ}").as_deref(), Ok("[{a:null}]"));
}

#[test]
fn items_without_bytes_are_limited() {
    let too_many = Err(Malformed::Syntax("too many items without bytes of their own"));
    let list = |kind: u8, count: u32| [b"[$", &[kind][..], b"#l", &count.to_be_bytes()].concat();
    for kind in [b'Z', b'T', b'F'] {
        let reader = |bytes: &[u8]| UbJsonReader::of_stranger(bytes).skip(2);
        let length = list(kind, 0).len() as u32;
        assert_eq!(reader(&list(kind, 64 + length)), Ok(()));
        assert_eq!(reader(&list(kind, 65 + length)), too_many);
        // All lists together count, and their numbers do not wrap around.
        let two = [b"[", &list(kind, 32 + length)[..], &list(kind, 35 + length), b"]"].concat();
        assert_eq!(reader(&two), too_many);
        // What was read before is read again.
        assert_eq!(UbJsonReader::new(&list(kind, 65 + length)).skip(2), Ok(()));
    }
    let huge = b"[[$Z#L\x7f\xff\xff\xff\xff\xff\xff\xff[$Z#L\x7f\xff\xff\xff\xff\xff\xff\xff]";
    assert_eq!(UbJsonReader::of_stranger(huge).skip(2), too_many);
}

#[test]
fn lengths_beyond_the_input_are_refused_before_anything_is_reserved() {
    for bytes in [
        &b"SM\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"[$B#M\xff\xff\xff\xff\xff\xff\xff\xff",
        b"[$i#M\xff\xff\xff\xff\xff\xff\xff\xff",
        b"[#M\xff\xff\xff\xff\xff\xff\xff\xff",
        b"{$Z#M\xff\xff\xff\xff\xff\xff\xff\xff",
        b"HM\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert_eq!(bjdata(bytes), Err(Malformed::Truncated), "{bytes:x?}");
    }
}

#[test]
fn nesting_is_limited_however_it_is_written() {
    for nested in [
        &b"["[..],
        b"[#U\x01",
        b"[$[#U\x01",
        b"{U\x01a",
        b"{$[#U\x01U\x01a",
    ] {
        let bytes = nested.repeat(100);
        assert_eq!(
            BjDataReader::new(&bytes).skip(16),
            Err(Malformed::Depth),
            "{nested:x?}"
        );
    }
}

#[test]
fn input_that_ends_too_early_is_an_error_wherever_it_ends() {
    let check = |input: &[u8], skip: &dyn Fn(&[u8]) -> Result<(), Malformed>| {
        assert_eq!(skip(input), Ok(()), "{input:x?}");
        for end in 0..input.len() {
            assert_eq!(
                skip(&input[..end]),
                Err(Malformed::Truncated),
                "{end} of {input:x?}"
            );
        }
    };
    let both = b"[ZU\x01SU\x01aHi\x0212Cb[$i#U\x01\x01[#U\x01Z{U\x01k[$Z#U\x01}{$d#U\x01U\x01k\0\0\0\0]";
    check(both, &|input| BjDataReader::new(input).skip(16));
    check(both, &|input| UbJsonReader::new(input).skip(16));
}

#[test]
fn entries_are_counted_and_keys_are_text() {
    let mut reader = UbJsonReader::new(b"{$Z#U\x02U\x01aU\x01b[#U\x03ZZZ");
    let Ok(Passed::Map(scope)) = reader.pass() else {
        panic!("no dictionary")
    };
    assert_eq!(reader.skip_map(scope, Keys::Text, 1), Ok(2));
    let Ok(Passed::List(scope)) = reader.pass() else {
        panic!("no list")
    };
    assert_eq!(reader.skip_list(scope, 1), Ok(3));
    assert_eq!(reader.finish(), Ok(()));
}
