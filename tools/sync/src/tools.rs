//! buildozer and buildifier, which read and edit BUILD files without losing what a hand wrote.

use std::{
    env,
    ffi::OsStr,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use crate::error::{At as _, Error};

/// The programs of `tools/setup/go.sh`.
#[derive(Debug)]
pub struct Tools {
    buildozer: PathBuf,
    /// Formats and lints.
    pub buildifier: PathBuf,
}

/// buildozer's exit code for "nothing to change".
const NOTHING_CHANGED: i32 = 3;

impl Tools {
    /// Looks in `$SIGNALBOX_TOOLS_DIR/bin`, in `PATH` and where the set-up script installs.
    ///
    /// # Errors
    /// Where one of them is missing; the message says how to install it.
    pub fn find() -> Result<Self, Error> {
        Ok(Self {
            buildozer: find("buildozer")?,
            buildifier: find("buildifier")?,
        })
    }

    /// Runs commands, one a line, and returns what buildozer printed as JSON.
    pub(crate) fn buildozer(&self, root: &Path, commands: &str) -> Result<Vec<u8>, Error> {
        let mut command = Command::new(&self.buildozer);
        command.current_dir(root).arg("-root_dir").arg(root);
        run(
            command.args(["-output_json", "-f", "-"]),
            commands.as_bytes().to_vec(),
        )
    }

    /// Formats files in place.
    pub(crate) fn buildifier<P: AsRef<OsStr>>(&self, files: &[P]) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        run(Command::new(&self.buildifier).args(files), Vec::new())?;
        Ok(())
    }
}

fn find(name: &'static str) -> Result<PathBuf, Error> {
    let chosen = env::var_os("SIGNALBOX_TOOLS_DIR").map(|tools| PathBuf::from(tools).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .map(|cache| cache.join("signalbox/tools/bin"));
    chosen
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(cache)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or(Error::NoTool(name))
}

fn run(command: &mut Command, input: Vec<u8>) -> Result<Vec<u8>, Error> {
    let program = PathBuf::from(command.get_program());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .at(&program)?;
    let stdin = child.stdin.take();
    // Beside the reading, for either pipe may fill.
    let writer = thread::spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(&input)));
    let output = child.wait_with_output().at(&program)?;
    let written = writer.join().unwrap_or(Ok(()));
    match output.status.code() {
        Some(0 | NOTHING_CHANGED) => written.at(&program).map(|()| output.stdout),
        _ => Err(Error::Tool {
            tool: program
                .file_name()
                .unwrap_or_default()
                .display()
                .to_string(),
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}
