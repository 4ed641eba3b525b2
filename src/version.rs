//! Versions: NuGet, Octopus SemVer and Octopus release versions.
