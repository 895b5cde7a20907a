#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::write::GzEncoder;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use proptest::prelude::*;
use tonic::Code;
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use super::{super::Response, recode::Codec, *};

const LIMIT: usize = 4_096;

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(message).unwrap();
    encoder.finish().unwrap()
}

fn wire(messages: &[(u8, Vec<u8>)]) -> Bytes {
    let mut bytes = BytesMut::new();
    for (flag, message) in messages {
        bytes.put_u8(*flag);
        bytes.put_u32(u32::try_from(message.len()).unwrap());
        bytes.extend_from_slice(message);
    }
    bytes.freeze()
}

/// A body that arrives in pieces of this size.
fn cut(bytes: &Bytes, size: usize) -> Body {
    let pieces: Vec<_> = (bytes.chunks(size))
        .map(|piece| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    Body::new(StreamBody::new(futures_util::stream::iter(pieces)))
}

fn recoded(codec: impl Codec, bytes: &Bytes, size: usize) -> Result<Bytes, Status> {
    let body = Recoded::new(cut(bytes, size), codec);
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(body.collect())
        .map(http_body_util::Collected::to_bytes)
}

fn messages() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    // Few different bytes, so that there is something to compress.
    let message = prop::collection::vec(0_u8..4, 0..=LIMIT);
    prop::collection::vec((any::<bool>(), message), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_compressed_is_read_however_it_is_cut(messages in messages(), size in 1_usize..2_000) {
        let sent: Vec<_> = (messages.iter())
            .map(|(compress, message)| match compress {
                true => (1, gzip(message)),
                false => (0, message.clone()),
            })
            .collect();
        let plain: Vec<_> = messages.iter().map(|(_, message)| (0, message.clone())).collect();
        let read = recoded(Inflate::new(LIMIT), &wire(&sent), size).unwrap();
        prop_assert_eq!(read, wire(&plain));
    }

    #[test]
    fn what_is_answered_compressed_can_be_read(messages in messages(), size in 1_usize..2_000) {
        let plain: Vec<_> = messages.into_iter().map(|(_, message)| (0, message)).collect();
        let plain = wire(&plain);
        let sent = recoded(Deflate::default(), &plain, size).unwrap();
        let read = recoded(Inflate::new(LIMIT), &sent, size).unwrap();
        prop_assert_eq!(read, plain);
    }
}

#[test]
fn the_limit_holds_for_what_comes_out() {
    let fits = wire(&[(1, gzip(&vec![0; LIMIT]))]);
    let read = recoded(Inflate::new(LIMIT), &fits, 7).unwrap();
    assert_eq!(read.len(), 5 + LIMIT);
    for much in [LIMIT + 1, 100 * LIMIT] {
        let over = wire(&[(1, gzip(&vec![0; much]))]);
        let status = recoded(Inflate::new(LIMIT), &over, 7).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "MESSAGE_TOO_LARGE");
        assert_eq!(info.metadata["limit_bytes"], LIMIT.to_string());
    }
}

#[test]
fn a_large_answer_is_compressed_and_others_have_their_turn() {
    let length = 3 << 20;
    let plain = wire(&[(0, vec![7; length])]);
    let sent = recoded(Deflate::default(), &plain, plain.len()).unwrap();
    assert_eq!(sent[0], 1);
    assert!(sent.len() < length / 100, "{}", sent.len());
    assert_eq!(recoded(Inflate::new(length), &sent, 999).unwrap(), plain);
}

#[test]
fn small_answers_stay_as_they_are() {
    let tokens = wire(&[(0, b"token".to_vec()), (0, Vec::new())]);
    assert_eq!(recoded(Deflate::default(), &tokens, 3).unwrap(), tokens);
}

#[test]
fn what_is_no_gzip_is_the_callers_fault() {
    let whole = gzip(&[5; 100]);
    let half = whole[..whole.len() / 2].to_vec();
    let more = [&whole[..], b"x"].concat();
    for bytes in [b"not gzip".to_vec(), half, more, Vec::new()] {
        let status = recoded(Inflate::new(LIMIT), &wire(&[(1, bytes)]), 10).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    let early = wire(&[(1, whole)]);
    for end in [3, 10] {
        let status = recoded(Inflate::new(LIMIT), &early.slice(..end), 4).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
}

/// Answers with one message of 2,000 bytes, once it has read its request.
async fn answered(headers: &[(&'static str, &'static str)]) -> Response {
    let inner = tower::service_fn(async |request: Request| {
        assert!(!request.headers().contains_key(ENCODING));
        request.into_body().collect().await.unwrap();
        let body = cut(&wire(&[(0, vec![1; 2_000])]), 10_000);
        Ok::<_, std::convert::Infallible>(Response::new(body))
    });
    let mut request = Request::new(Body::empty());
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        request.headers_mut().append(*name, value);
    }
    Compression::new(LIMIT)
        .around(inner)
        .oneshot(request)
        .await
        .unwrap()
}

#[tokio::test]
async fn only_who_compresses_is_answered_compressed() {
    let cases: [(&[(&str, &str)], bool); 6] = [
        (&[], false),
        (&[(ACCEPT_ENCODING, "identity, deflate, gzip")], false),
        (&[(ENCODING, "identity"), (ACCEPT_ENCODING, "gzip")], false),
        (&[(ENCODING, "gzip")], true),
        (
            &[(ENCODING, "gzip"), (ACCEPT_ENCODING, "identity,gzip")],
            true,
        ),
        (&[(ENCODING, "gzip"), (ACCEPT_ENCODING, "identity")], false),
    ];
    for (headers, expected) in cases {
        let response = answered(headers).await;
        let said = response.headers().get(ENCODING).is_some_and(|e| e == GZIP);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((said, body[0] == 1), (expected, expected), "{headers:?}");
    }
}

#[tokio::test]
async fn what_is_not_understood_is_told_what_is() {
    let response = answered(&[(ENCODING, "zstd")]).await;
    assert_eq!(response.headers()["grpc-status"], "12");
    assert_eq!(response.headers()[ACCEPT_ENCODING], "gzip,identity");
}
