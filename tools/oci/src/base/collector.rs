//! Takes files out of a root into a layer, and keeps book of each one's package.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Architecture, BaseDescription, BaseFile, BasePackage, Distribution,
    dpkg::{Package, Packages},
    root::Root,
};
use crate::{
    Digest, ImagePath, OciError,
    layer::{Content, Layer},
};

pub(super) struct Collector<'r> {
    pub(super) root: &'r Root,
    pub(super) architecture: Architecture,
    packages: Packages,
    layer: Layer,
    taken: BTreeMap<String, (Package, BTreeSet<BaseFile>)>,
    own: BTreeSet<BaseFile>,
}

impl<'r> Collector<'r> {
    pub(super) fn new(root: &'r Root, architecture: Architecture) -> Result<Self, OciError> {
        Ok(Self {
            root,
            architecture,
            packages: Packages::read(root, architecture)?,
            layer: Layer::new(),
            taken: BTreeMap::new(),
            own: BTreeSet::new(),
        })
    }

    /// Takes a file; a symlink is taken as one, with what it leads to. Returns its name in the
    /// image, which is below `usr` even where the root still has a `/lib` of its own.
    pub(super) fn take(
        &mut self,
        path: &ImagePath,
        executable: bool,
    ) -> Result<ImagePath, OciError> {
        self.take_linked(path, executable, 0)
    }

    fn take_linked(
        &mut self,
        path: &ImagePath,
        executable: bool,
        depth: u32,
    ) -> Result<ImagePath, OciError> {
        if depth > 40 {
            return Err(OciError::SymlinkLoop { path: path.clone() });
        }
        let path = self.root.in_real_directory(path)?;
        let inside = below_usr(&path)?;
        if let Some(target) = self.root.link(&path)? {
            let target = self.take_linked(&target, executable, depth + 1)?;
            if target != inside {
                let link = inside.link_to(&target);
                self.layer.symlink(inside.clone(), &link)?;
            }
            return Ok(inside);
        }
        let package = self.package(&path)?;
        let bytes = self.root.read(&path)?;
        self.put(inside.clone(), executable, bytes, Some(package))?;
        Ok(inside)
    }

    /// The package that a file of the root belongs to.
    pub(super) fn package(&self, path: &ImagePath) -> Result<Package, OciError> {
        self.packages
            .owner(path)
            .cloned()
            .ok_or_else(|| OciError::Unpackaged { path: path.clone() })
    }

    /// Puts a file in that was made from a package's files.
    pub(super) fn made_from(
        &mut self,
        package: Package,
        path: ImagePath,
        bytes: Vec<u8>,
    ) -> Result<(), OciError> {
        self.put(path, false, bytes, Some(package))
    }

    /// Puts a file in that this project wrote.
    pub(super) fn own(&mut self, path: ImagePath, text: String) -> Result<(), OciError> {
        self.put(path, false, text.into_bytes(), None)
    }

    pub(super) fn symlink(&mut self, path: ImagePath, target: &str) -> Result<(), OciError> {
        self.layer.symlink(path, target)
    }

    pub(super) fn holds(&self, path: &ImagePath) -> bool {
        self.layer.holds(path)
    }

    fn put(
        &mut self,
        path: ImagePath,
        executable: bool,
        bytes: Vec<u8>,
        package: Option<Package>,
    ) -> Result<(), OciError> {
        let file = BaseFile {
            path: path.clone(),
            sha256: Digest::of(&bytes),
        };
        self.layer.file(path, executable, Content::Bytes(bytes))?;
        match package {
            Some(package) => {
                let name = package.name.clone();
                let (_, files) = self.taken.entry(name).or_insert((package, BTreeSet::new()));
                files.insert(file);
            }
            None => {
                self.own.insert(file);
            }
        }
        Ok(())
    }

    /// The distribution, as the root's own `os-release` names it.
    pub(super) fn distribution(&self) -> Result<Distribution, OciError> {
        let path = ImagePath::literal("etc/os-release");
        let text = self.root.text(&path)?;
        let field = |wanted: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name == wanted).then(|| value.trim_matches('"').to_owned())
            })
        };
        let named = field("VERSION_ID").or_else(|| field("VERSION_CODENAME"));
        match (field("ID"), named) {
            (Some(id), Some(version)) => Ok(Distribution { id, version }),
            _ => Err(OciError::malformed(
                self.root.host(&path),
                "it names no ID with VERSION_ID or VERSION_CODENAME; is this a Debian root?",
            )),
        }
    }

    /// Adds what goes along with each package: its notice, and its entry in the database that
    /// scanners of images read (one file each, as in distroless images).
    pub(super) fn finish(mut self) -> Result<(Layer, BaseDescription), OciError> {
        let distribution = self.distribution()?;
        let packages: Vec<Package> = self
            .taken
            .values()
            .map(|(package, _)| package.clone())
            .collect();
        for package in packages {
            let name = &package.name;
            let notice = ImagePath::parse(&format!("usr/share/doc/{name}/copyright"))?;
            if !self.root.has(&notice) {
                let reason = "the copyright notice that must go along is missing; install the package again without excluding /usr/share/doc";
                return Err(OciError::malformed(self.root.host(&notice), reason));
            }
            let bytes = self.root.read(&notice)?;
            self.put(notice, false, bytes, Some(package.clone()))?;
            let entry = ImagePath::parse(&format!("var/lib/dpkg/status.d/{name}"))?;
            self.put(entry, false, status(&package).into_bytes(), Some(package))?;
        }
        let packages = self
            .taken
            .into_values()
            .map(|(package, files)| BasePackage {
                name: package.name,
                version: package.version,
                architecture: package.architecture,
                source: package.source,
                files: files.into_iter().collect(),
            })
            .collect();
        let description = BaseDescription {
            distribution,
            packages,
            own: self.own.into_iter().collect(),
        };
        Ok((self.layer, description))
    }
}

fn below_usr(path: &ImagePath) -> Result<ImagePath, OciError> {
    if path.as_str().starts_with("lib/") || path.as_str().starts_with("lib64/") {
        return ImagePath::parse(&format!("usr/{path}"));
    }
    Ok(path.clone())
}

fn status(package: &Package) -> String {
    let Package {
        name,
        version,
        architecture,
        source,
        maintainer,
    } = package;
    format!(
        "Package: {name}\nStatus: install ok installed\nMaintainer: {maintainer}\n\
         Architecture: {architecture}\nSource: {source}\nVersion: {version}\n"
    )
}
