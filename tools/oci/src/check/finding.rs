//! What can be wrong with an image: one line each, which names the file and the fix.

use crate::ImagePath;

/// One thing that an image must not hold, or lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Finding {
    /// The image runs as root, or as a user that only a passwd file could tell from root.
    #[error("the image runs as {user:?}; build it with --user 65532:65532")]
    User {
        /// What its configuration says.
        user: String,
    },
    /// There is nothing to run.
    #[error(
        "the entrypoint {program:?} is no ELF executable in the image; put it into a layer, mode 0755"
    )]
    Entrypoint {
        /// What its configuration says.
        program: String,
    },
    /// A shell.
    #[error("/{path} is a shell; leave it out of the layer")]
    Shell {
        /// The file.
        path: ImagePath,
    },
    /// A package manager.
    #[error("/{path} is a package manager; leave it out of the layer")]
    PackageManager {
        /// The file.
        path: ImagePath,
    },
    /// Some other program.
    #[error(
        "/{path} is executable, and neither the entrypoint nor a shared library; leave it out, clear its x bits or --allow it"
    )]
    Executable {
        /// The file.
        path: ImagePath,
    },
    /// Runs as its owner or group.
    #[error("/{path} is set-user-id or set-group-id (mode {mode:04o}); clear these bits")]
    SetId {
        /// The file.
        path: ImagePath,
        /// Its mode.
        mode: u32,
    },
    /// Runs with rights of its own.
    #[error("/{path} has file capabilities; remove the security.capability attribute")]
    Capabilities {
        /// The file.
        path: ImagePath,
    },
    /// Anyone may write.
    #[error(
        "/{path} is writable by all; make it 0755 or 0644, or mount a volume there at run time"
    )]
    WorldWritable {
        /// The file or directory.
        path: ImagePath,
    },
    /// The image's user owns it.
    #[error("/{path} belongs to the image's own user {uid}, who may write it; give it to 0:0")]
    OwnedByUser {
        /// The file or directory.
        path: ImagePath,
        /// The user.
        uid: u64,
    },
    /// The image's group may write.
    #[error("/{path} is writable by the image's own group {gid}; clear g+w or give it to 0:0")]
    GroupWritable {
        /// The file or directory.
        path: ImagePath,
        /// The group.
        gid: u64,
    },
    /// A device or a pipe.
    #[error("/{path} is a device or a pipe; leave it out, the engine makes /dev")]
    Special {
        /// The file.
        path: ImagePath,
    },
    /// A program whose needs cannot be known.
    #[error("/{path} cannot be read as ELF: {reason}; leave it out or build it again")]
    UnreadableElf {
        /// The file.
        path: ImagePath,
        /// Why not.
        reason: String,
    },
    /// No dynamic linker.
    #[error(
        "/{path} needs the dynamic linker {interpreter}, which the image lacks; add the base layer made for this program"
    )]
    NoInterpreter {
        /// The program.
        path: ImagePath,
        /// Its `PT_INTERP`.
        interpreter: String,
    },
    /// No such library.
    #[error(
        "/{path} needs {library}, which the image lacks; assemble the base with --library {library} or --binary for this program"
    )]
    NoLibrary {
        /// The program or library.
        path: ImagePath,
        /// What it needs.
        library: String,
    },
    /// A library that is too old.
    #[error(
        "/{path} needs {version} of {library}, and the image's has {newest} at most; build it against that library, or assemble the base from the root that it was built in"
    )]
    NoVersion {
        /// The program or library.
        path: ImagePath,
        /// The library.
        library: String,
        /// The symbol version.
        version: String,
        /// The newest that there is of that name.
        newest: String,
    },
}
