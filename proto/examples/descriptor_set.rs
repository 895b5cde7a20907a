//! Writes the encoded `google.protobuf.FileDescriptorSet` of the contract to standard
//! output, for checks and clients in other languages.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(signalbox_proto::FILE_DESCRIPTOR_SET)
}
