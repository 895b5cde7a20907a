//! The two ways of gzip, in bounded memory.

use std::io::{self, Write};

use flate2::write::{GzDecoder, GzEncoder};
use tonic::Code;

use super::recode::Codec;
use crate::{ApiError, error::reason};

/// Smaller answers stay as they are: gzip's own frame has 18 bytes, and tokens of a
/// stream must not wait for it.
const WORTH_BYTES: usize = 1_024;
/// The fastest: most of what there is to save, for a third of the time.
const LEVEL: flate2::Compression = flate2::Compression::fast();

/// Decompresses what is asked.
pub(super) struct Inflate {
    limit: usize,
    decoder: Option<GzDecoder<Bounded>>,
}

impl Inflate {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            decoder: None,
        }
    }

    fn too_large(&self) -> ApiError {
        let message = format!(
            "the message holds more than {} bytes once decompressed, all the server takes; send \
             less at once",
            self.limit
        );
        ApiError::new(Code::ResourceExhausted, reason::MESSAGE_TOO_LARGE, message)
            .with_metadata("limit_bytes", &self.limit.to_string())
    }
}

impl Codec for Inflate {
    fn begin(&mut self, flag: u8, _: usize) -> bool {
        if flag != 1 {
            return false;
        }
        self.decoder = Some(GzDecoder::new(Bounded {
            bytes: Vec::new(),
            limit: self.limit,
            over: false,
        }));
        true
    }

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(());
        };
        let fed = decoder.write_all(piece);
        let over = decoder.get_ref().over;
        match fed {
            _ if over => Err(self.too_large()),
            Err(error) => Err(broken(&error)),
            Ok(()) => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(u8, Vec<u8>), ApiError> {
        let Some(mut decoder) = self.decoder.take() else {
            return Ok((0, Vec::new()));
        };
        let ended = decoder.try_finish();
        match ended {
            _ if decoder.get_ref().over => Err(self.too_large()),
            Err(error) => Err(broken(&error)),
            Ok(()) => Ok((0, std::mem::take(&mut decoder.get_mut().bytes))),
        }
    }

    fn cut(&self) -> Result<(), ApiError> {
        Err(broken(&"it ends too early"))
    }
}

fn broken(why: &dyn std::fmt::Display) -> ApiError {
    let message = format!("the message is not gzip, as its call says: {why}");
    ApiError::new(Code::InvalidArgument, reason::UNDECODABLE, message)
}

/// Takes no more than it may: what a few compressed bytes become is not known before.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    over: bool,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > self.limit {
            self.over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses what is answered.
#[derive(Default)]
pub(super) struct Deflate {
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Codec for Deflate {
    fn begin(&mut self, flag: u8, length: usize) -> bool {
        let worth = flag == 0 && length >= WORTH_BYTES;
        self.encoder = worth.then(|| GzEncoder::new(Vec::new(), LEVEL));
        worth
    }

    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        match &mut self.encoder {
            Some(encoder) => encoder.write_all(piece).map_err(fault),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(u8, Vec<u8>), ApiError> {
        match self.encoder.take() {
            Some(encoder) => Ok((1, encoder.finish().map_err(fault)?)),
            None => Ok((0, Vec::new())),
        }
    }

    fn cut(&self) -> Result<(), ApiError> {
        Ok(())
    }
}

/// Writing to memory does not fail.
fn fault(error: io::Error) -> ApiError {
    ApiError::internal(format!("the answer cannot be compressed: {error}"))
}
