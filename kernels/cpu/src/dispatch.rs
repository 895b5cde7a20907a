//! Which instruction set runs: found once, and fixed by hand in tests.

use crate::kernel::portable::Portable;
#[cfg(target_arch = "x86_64")]
use crate::kernel::{amx::Amx, avx2::Avx2, avx512::Avx512};

/// An instruction set, slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Plain Rust.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
    /// AVX-512 as above, and AMX's tiles of bytes.
    Amx,
}

impl Level {
    /// Every level, slowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Amx];

    /// The level's name: `portable`, `avx2`, `avx512` or `amx`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Set {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Amx(Amx),
}

/// This processor, with the instruction set to use. All arithmetic is a method of it.
#[derive(Clone, Copy)]
pub struct Cpu {
    pub(crate) set: Set,
}

impl Cpu {
    /// With the best instruction set that this processor has.
    pub fn detect() -> Self {
        let best = Level::ALL.into_iter().rev().find_map(Self::with);
        best.unwrap_or(Self {
            set: Set::Portable(Portable),
        })
    }

    /// With the set asked for; `None` where this processor does not have it.
    pub fn with(level: Level) -> Option<Self> {
        let set = match level {
            Level::Portable => Set::Portable(Portable),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Set::Avx2(Avx2::new()?),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Set::Avx512(Avx512::new()?),
            #[cfg(target_arch = "x86_64")]
            Level::Amx => Set::Amx(Amx::new()?),
            #[cfg(not(target_arch = "x86_64"))]
            _ => return None,
        };
        Some(Self { set })
    }

    /// The set in use.
    pub fn level(self) -> Level {
        match self.set {
            Set::Portable(_) => Level::Portable,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => Level::Avx512,
            #[cfg(target_arch = "x86_64")]
            Set::Amx(_) => Level::Amx,
        }
    }
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cpu").field(&self.level()).finish()
    }
}

/// Runs `$body` with `$kernel` bound to the instruction set of `$cpu`: the one place
/// where a call is routed.
macro_rules! dispatch {
    ($cpu:expr, $kernel:ident => $body:expr) => {
        match $cpu.set {
            $crate::dispatch::Set::Portable($kernel) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::dispatch::Set::Avx2($kernel) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::dispatch::Set::Avx512($kernel) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::dispatch::Set::Amx($kernel) => $body,
        }
    };
}
pub(crate) use dispatch;
