//! The one place that knows how a file's bytes become lines: plain, gzip or Zstandard, told apart by how they begin.
//!
//! **Invariant:** memory is bounded, whatever a file unpacks to: buffers, and the window that a frame was packed with,
//! which is 8 MiB at the usual levels of Zstandard and 128 MiB at most.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context as _, bail};
use rustix::io::Errno;

use super::{identity::identity, progress::Progress};
use crate::replay::Input;

/// Bytes read, and unpacked, at a time; of many files less, so that the buffers of all together have a bound.
const BUFFER_BYTES: usize = 256 * 1024;
const BUFFER_BYTES_MIN: usize = 4 * 1024;
const BUFFERS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Zstandard's own bound on what a decoder must take without being told: 2^27 bytes.
const WINDOW_LOG_MAX: u32 = 27;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A frame to be passed over begins so, but for the lower half of its first byte; parallel packers write them first.
const ZSTD_SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

const BZIP2: &[u8] = b"BZh";
const XZ: &[u8] = b"\xfd7zX";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// By the names of files, what they seem to be instead of lines of JSON; those that begin as they should have none.
pub(super) type Hints = BTreeMap<Box<str>, &'static str>;

pub(super) fn open_all<'r>(
    paths: &[impl AsRef<Path>],
    progress: &mut Progress,
) -> anyhow::Result<(Vec<Input<'r>>, Hints)> {
    if paths.is_empty() {
        bail!("no events to replay: name at least one file, or - for standard input");
    }
    // By the bytes of the paths: two that read alike must not be told apart by the order in which they were given.
    let mut paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
    paths.sort();
    let twice = paths.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let mut known = BTreeSet::new();
    let mut spelled_apart = paths
        .iter()
        .filter(|path| identity(path).is_some_and(|own| !known.insert(own)));
    if let Some(path) = twice.or_else(|| spelled_apart.next().copied()) {
        bail!(
            "{} is named twice: every event in it would be counted twice, or be its own duplicate",
            path.display()
        );
    }
    let buffer_bytes = (BUFFERS_BYTES_MAX / paths.len()).clamp(BUFFER_BYTES_MIN, BUFFER_BYTES);
    let (mut inputs, mut hints) = (Vec::new(), Hints::new());
    for path in paths {
        let name: Box<str> = path.to_string_lossy().into();
        let opened = open(path, buffer_bytes, progress)
            .map_err(with_remedy)
            .with_context(|| format!("reading {}", path.display()))?;
        hints.extend(opened.hint.map(|hint| (name.clone(), hint)));
        inputs.push(Input {
            name,
            reader: opened.reader,
        });
    }
    Ok((inputs, hints))
}

/// Says what to do where no more files may be open at once.
fn with_remedy(error: anyhow::Error) -> anyhow::Error {
    let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    if code == Some(Errno::MFILE.raw_os_error()) {
        return error.context("all files are read side by side: raise `ulimit -n` to more than there are");
    }
    error
}

struct Opened<'r> {
    reader: Box<dyn BufRead + 'r>,
    hint: Option<&'static str>,
}

fn open<'r>(path: &Path, buffer_bytes: usize, progress: &mut Progress) -> anyhow::Result<Opened<'r>> {
    if path == Path::new("-") {
        return Ok(unpack(
            progress.count(io::stdin().lock(), None),
            Packing::Unknown,
            buffer_bytes,
        )?);
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        bail!("it is a directory: name the files in it");
    }
    // A pipe or device has no length.
    let length = metadata.is_file().then_some(metadata.len());
    let expected = match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("gz") => Packing::Gzip,
        Some("zst") => Packing::Zstd,
        Some(_) | None => Packing::Unknown,
    };
    Ok(unpack(progress.count(file, length), expected, buffer_bytes)?)
}

/// How a file is packed, by its name or by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
    Unknown,
}

impl Packing {
    fn of(beginning: &[u8]) -> Self {
        let skippable = |first: &[u8]| first[0] & 0xf0 == ZSTD_SKIPPABLE[0] && first[1..] == ZSTD_SKIPPABLE[1..];
        if beginning.starts_with(&GZIP) {
            Self::Gzip
        } else if beginning.starts_with(&ZSTD) || beginning.get(..4).is_some_and(skippable) {
            Self::Zstd
        } else {
            Self::Unknown
        }
    }
}

/// The lines of what may be packed. No event begins as an archive does.
///
/// Errs if the beginning cannot be read, or if a name promises an archive and there is none.
fn unpack<'r>(mut reader: impl Read + 'r, expected: Packing, buffer_bytes: usize) -> io::Result<Opened<'r>> {
    let mut beginning = Vec::with_capacity(ZSTD.len());
    let length = u64::try_from(ZSTD.len()).unwrap_or(u64::MAX);
    (&mut reader).take(length).read_to_end(&mut beginning)?;
    let found = Packing::of(&beginning);
    let hint = hint(&beginning);
    let whole = io::Cursor::new(beginning).chain(BufReader::with_capacity(buffer_bytes, reader));
    match (found, expected) {
        (Packing::Gzip, _) => Ok(unpacked(flate2::bufread::MultiGzDecoder::new(whole), buffer_bytes)),
        (Packing::Zstd, _) => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(whole)?;
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            Ok(unpacked(decoder, buffer_bytes))
        }
        (Packing::Unknown, Packing::Unknown) => Ok(Opened {
            reader: Box::new(whole),
            hint,
        }),
        (Packing::Unknown, Packing::Gzip | Packing::Zstd) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "its name says that it is packed, but it does not begin so: rename it if it holds plain lines",
        )),
    }
}

fn unpacked<'r>(decoder: impl Read + 'r, buffer_bytes: usize) -> Opened<'r> {
    Opened {
        reader: Box::new(BufReader::with_capacity(buffer_bytes, Unpacking(decoder))),
        hint: None,
    }
}

/// What a file seems to be that does not begin as lines of JSON do, and what to do with it.
fn hint(beginning: &[u8]) -> Option<&'static str> {
    if beginning.starts_with(BZIP2) {
        return Some("it is packed with bzip2, which is not read: unpack it with `bzip2 -dc` and pipe it in (-)");
    }
    if beginning.starts_with(XZ) {
        return Some("it is packed with xz, which is not read: unpack it with `xz -dc` and pipe it in (-)");
    }
    if matches!(
        beginning,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..]
    ) {
        return Some("it is UTF-16: make it UTF-8 with `iconv -f UTF-16 -t UTF-8` and pipe it in (-)");
    }
    let text = beginning.strip_prefix(BYTE_ORDER_MARK).unwrap_or(beginning);
    match text.trim_ascii_start().first()? {
        b'{' => None,
        b'[' => {
            Some("it begins as a JSON array; each line must be one event: `jq --compact-output '.[]'` makes such lines")
        }
        _ => Some("it does not begin as JSON; each line must be one JSON object: CSV and the like must be converted"),
    }
}

/// An archive as it is unpacked: its faults say what to do.
struct Unpacking<R>(R);

impl<R: Read> Read for Unpacking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0
            .read(buffer)
            .map_err(|error| io::Error::new(error.kind(), Damaged(error)))
    }
}

#[derive(Debug)]
struct Damaged(io::Error);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        let text = error.to_string();
        if error.kind() == io::ErrorKind::UnexpectedEof {
            f.write_str("the archive is cut short: copy it again, or unpack what there is of it and pipe that in (-)")
        } else if text.contains("too much memory") {
            f.write_str("it was packed with a window of more than 128 MiB: unpack it with `zstd -dc --long=31` and pipe it in (-)")
        } else {
            write!(f, "the archive is damaged: {text}")
        }
    }
}

impl std::error::Error for Damaged {}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).expect("memory")
    }

    fn read(bytes: &[u8], expected: Packing) -> io::Result<String> {
        // A byte at a time: a pipe may give as little.
        let mut text = String::new();
        unpack(Trickle(bytes), expected, BUFFER_BYTES)?
            .reader
            .read_to_string(&mut text)?;
        Ok(text)
    }

    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(1);
            (&mut self.0).take(1).read(&mut buffer[..n])
        }
    }

    #[test]
    fn archives_are_told_by_their_beginning_and_read_to_the_end_of_their_last_part() {
        let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let cases = [
            (b"one\ntwo\n".to_vec(), Packing::Unknown),
            ([gzip("one\n"), gzip("two\n")].concat(), Packing::Gzip),
            ([zstd("one\n"), zstd("two\n")].concat(), Packing::Zstd),
            ([skippable, zstd("one\ntwo\n")].concat(), Packing::Zstd),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(&bytes, expected).expect("whole"), "one\ntwo\n");
            assert_eq!(read(&bytes, Packing::Unknown).expect("whole"), "one\ntwo\n");
        }
        assert_eq!(read(b"", Packing::Unknown).expect("nothing"), "");
        assert_eq!(read(b"\n", Packing::Unknown).expect("a line"), "\n");
    }

    #[test]
    fn what_is_no_lines_of_json_is_known_by_how_it_begins() {
        let cases: [(&[u8], Option<&str>); 13] = [
            (b"", None),
            (b"\n\n", None),
            (b"{\"id", None),
            (b" {\"i", None),
            (b"\xef\xbb\xbf{", None),
            (b"[{\"i", Some("array")),
            (b"\xef\xbb\xbf[", Some("array")),
            (b"id,t", Some("CSV")),
            (b"BZh9", Some("bzip2")),
            (b"\xfd7zX", Some("xz")),
            (b"\xff\xfe{\0", Some("UTF-16")),
            (b"\xfe\xff\0{", Some("UTF-16")),
            (b"{\0\"\0", Some("UTF-16")),
        ];
        for (beginning, expected) in cases {
            let found = hint(beginning);
            let is_expected = found.zip(expected).is_some_and(|(found, word)| found.contains(word));
            assert!(
                is_expected || found.is_none() && expected.is_none(),
                "{beginning:?}: {found:?}"
            );
        }
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_an_error_that_says_so() {
        let text = "one line of many\n".repeat(50);
        for (bytes, packing) in [(gzip(&text), Packing::Gzip), (zstd(&text), Packing::Zstd)] {
            for end in 0..bytes.len() {
                let error = read(&bytes[..end], packing).expect_err("cut");
                let text = error.to_string();
                assert!(
                    text.contains("cut short") || (end < 4 && text.contains("does not begin so")),
                    "{end}: {text}"
                );
            }
            let garbage = [bytes, b"garbage that follows".to_vec()].concat();
            let text = read(&garbage, packing).expect_err("no archive").to_string();
            assert!(text.contains("the archive is damaged"), "{text}");
        }
    }
}
