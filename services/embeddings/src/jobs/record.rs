//! How texts and results lie in a store: packed bytes with a checksum.
//!
//! Whatever a store gives back is read with suspicion. A record that was cut, mixed
//! up or altered is an error that names it, never a panic and never a wrong vector.
//!
//! A record is `kind (4 bytes) | items (u32) | body | checksum (8 bytes)`, numbers
//! little-endian. Texts: for each its length (u32) and its bytes. Results: the
//! vectors' length (u32), then for each item a tag; after 0 the vector as f32, after 1
//! the error as a text.

use sha2::{Digest as _, Sha256};

use super::{
    error::JobError,
    job::{ItemError, ItemResult, Job, JobId},
};

const TEXTS: &[u8; 4] = b"SBT1";
const RESULTS: &[u8; 4] = b"SBR1";
const CHECKSUM: usize = 8;
const VECTOR: u8 = 0;
const ERROR: u8 = 1;

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let hash = Sha256::digest(bytes);
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hash[..CHECKSUM]);
    sum
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // A request is far smaller than 4 GiB; past it, reading back says "damaged".
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend(text.as_bytes());
}

fn seal(mut out: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&out);
    out.extend(sum);
    out
}

pub(super) fn pack_texts(texts: &[String]) -> Vec<u8> {
    let bytes: usize = texts.iter().map(|text| text.len() + 4).sum();
    let mut out = Vec::with_capacity(bytes + 8 + CHECKSUM);
    out.extend(TEXTS);
    put_length(&mut out, texts.len());
    for text in texts {
        put_text(&mut out, text);
    }
    seal(out)
}

pub(super) fn pack_results(results: &[ItemResult]) -> Vec<u8> {
    let dimensions = results.iter().flatten().map(Vec::len).next().unwrap_or(0);
    let mut out = Vec::with_capacity(results.len() * (dimensions * 4 + 1) + 12 + CHECKSUM);
    out.extend(RESULTS);
    put_length(&mut out, results.len());
    put_length(&mut out, dimensions);
    for result in results {
        match result {
            Ok(vector) if vector.len() == dimensions => {
                out.push(VECTOR);
                out.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
            }
            Ok(_) => {
                out.push(ERROR);
                put_text(&mut out, "the model gave a vector of another length");
            }
            Err(ItemError(message)) => {
                out.push(ERROR);
                put_text(&mut out, message);
            }
        }
    }
    seal(out)
}

/// Takes bytes from the front; every step may find too few.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks kind and checksum, and gives the number of items.
    fn open(bytes: &'a [u8], kind: &[u8; 4]) -> Result<(Self, usize), &'static str> {
        let Some((body, sum)) = bytes
            .len()
            .checked_sub(CHECKSUM)
            .map(|end| bytes.split_at(end))
        else {
            return Err("it is too short");
        };
        if !body.starts_with(kind) {
            return Err("it is a record of another kind");
        }
        if checksum(body) != sum {
            return Err("its checksum is wrong");
        }
        let mut reader = Self(&body[kind.len()..]);
        let items = reader.length()?;
        Ok((reader, items))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it ends early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn length(&mut self) -> Result<usize, &'static str> {
        let bytes = self.take(4)?.first_chunk().ok_or("it ends early")?;
        usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| "a length is too large")
    }

    fn text(&mut self) -> Result<String, &'static str> {
        let length = self.length()?;
        let text = str::from_utf8(self.take(length)?).map_err(|_| "a text is not UTF-8")?;
        Ok(text.to_owned())
    }

    fn vector(&mut self, dimensions: usize) -> Result<Vec<f32>, &'static str> {
        let bytes = self.take(dimensions.checked_mul(4).ok_or("a length is too large")?)?;
        let (values, _) = bytes.as_chunks::<4>();
        Ok(values
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect())
    }

    fn end(self) -> Result<(), &'static str> {
        match self.0 {
            [] => Ok(()),
            _ => Err("it has more bytes than it should"),
        }
    }
}

/// Reads what [`pack_texts`] wrote, `expected` texts.
pub(super) fn unpack_texts(
    bytes: &[u8],
    job: &JobId,
    chunk: u32,
    expected: usize,
) -> Result<Vec<String>, JobError> {
    let read = || {
        let (mut reader, items) = Reader::open(bytes, TEXTS)?;
        if items != expected {
            return Err("it holds another number of items than its chunk");
        }
        let texts = (0..items)
            .map(|_| reader.text())
            .collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(texts)
    };
    read().map_err(|what| JobError::corrupt(format!("texts of chunk {chunk} of job {job}"), what))
}

/// Reads what [`pack_results`] wrote, `expected` results.
pub(super) fn unpack_results(
    bytes: &[u8],
    job: &JobId,
    chunk: u32,
    expected: usize,
) -> Result<Vec<ItemResult>, JobError> {
    let read = || {
        let (mut reader, items) = Reader::open(bytes, RESULTS)?;
        if items != expected {
            return Err("it holds another number of items than its chunk");
        }
        let dimensions = reader.length()?;
        let mut results = Vec::new();
        for _ in 0..items {
            results.push(match reader.take(1)? {
                [VECTOR] => Ok(reader.vector(dimensions)?),
                [ERROR] => Err(ItemError(reader.text()?)),
                _ => return Err("an item has an unknown tag"),
            });
        }
        reader.end()?;
        Ok(results)
    };
    read().map_err(|what| JobError::corrupt(format!("results of chunk {chunk} of job {job}"), what))
}

pub(super) fn pack_job(job: &Job) -> Result<Vec<u8>, JobError> {
    serde_json::to_vec(job).map_err(JobError::store)
}

/// Reads what [`pack_job`] wrote.
pub(super) fn unpack_job(bytes: &[u8], id: &str) -> Result<Job, JobError> {
    let name = || format!("job {id}");
    let job: Job = serde_json::from_slice(bytes)
        .map_err(|error| JobError::corrupt(name(), error.to_string()))?;
    if job.spec.id.as_str() != id {
        return Err(JobError::corrupt(name(), "it is the record of another job"));
    }
    if job.spec.chunk_items == 0 {
        return Err(JobError::corrupt(name(), "its chunks are empty"));
    }
    Ok(job)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn id() -> JobId {
        JobId::from_ulid(ulid::Ulid::from_parts(1, 2))
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(".{0,12}", 0..9)
    }

    fn results() -> impl Strategy<Value = Vec<ItemResult>> {
        (0..9usize).prop_flat_map(|dimensions| {
            let vector = prop::collection::vec(any::<u32>().prop_map(f32::from_bits), dimensions);
            let item = prop_oneof![
                vector.prop_map(Ok),
                ".{0,12}".prop_map(|text| Err(ItemError(text))),
            ];
            prop::collection::vec(item, 0..20)
        })
    }

    /// Bit for bit: a NaN is not equal to itself.
    fn bits(results: &[ItemResult]) -> Vec<Result<Vec<u32>, String>> {
        let bits = |vector: &Vec<f32>| vector.iter().map(|value| value.to_bits()).collect();
        let all = results.iter().map(|result| match result {
            Ok(vector) => Ok(bits(vector)),
            Err(ItemError(text)) => Err(text.clone()),
        });
        all.collect()
    }

    fn is_named(error: &JobError, name: &str) -> bool {
        matches!(error, JobError::Corrupt { record, .. } if record.contains(name))
    }

    proptest! {
        #[test]
        fn texts_come_back(texts in texts()) {
            let read = unpack_texts(&pack_texts(&texts), &id(), 0, texts.len()).unwrap();
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn results_come_back_bit_for_bit(results in results()) {
            let read = unpack_results(&pack_results(&results), &id(), 0, results.len()).unwrap();
            prop_assert_eq!(bits(&read), bits(&results));
        }

        #[test]
        fn one_wrong_byte_anywhere_is_an_error_that_names_the_record(
            results in results(), at: prop::sample::Index, flip in 1..=255u8,
        ) {
            let mut bytes = pack_results(&results);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let error = unpack_results(&bytes, &id(), 7, results.len()).unwrap_err();
            prop_assert!(is_named(&error, "results of chunk 7 of job 0"), "{}", error);
        }

        #[test]
        fn a_cut_record_is_an_error(texts in texts(), at: prop::sample::Index) {
            let bytes = pack_texts(&texts);
            let cut = &bytes[..at.index(bytes.len())];
            let error = unpack_texts(cut, &id(), 7, texts.len()).unwrap_err();
            prop_assert!(is_named(&error, "texts of chunk 7"), "{}", error);
        }

        #[test]
        fn no_bytes_panic(
            bytes: Vec<u8>, kind in prop::sample::select(vec![TEXTS, RESULTS]), expected in 0..9usize,
        ) {
            // With and without a right kind and checksum, so that every step is met.
            let sealed = seal([kind.as_slice(), &bytes].concat());
            for bytes in [&bytes, &sealed] {
                let _ = unpack_texts(bytes, &id(), 0, expected);
                let _ = unpack_results(bytes, &id(), 0, expected);
                let _ = unpack_job(bytes, "x");
            }
        }
    }

    #[test]
    fn a_huge_length_is_an_error_and_takes_no_memory() {
        let body = [RESULTS.as_slice(), &[255; 8], &[VECTOR]].concat();
        let count = usize::try_from(u32::MAX).unwrap();
        let error = unpack_results(&seal(body), &id(), 0, count).unwrap_err();
        assert!(is_named(&error, "results"), "{error}");
    }
}
