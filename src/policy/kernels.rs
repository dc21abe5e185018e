//! Which kernel a root starts with, and which kernels a boot directory holds.

use std::collections::BTreeSet;

use crate::dpkg::version;
use crate::model::kernel::KernelKey;

/// A boot directory is a cache: what is not in it is fetched from its root when it is needed.
pub const MOST_KERNELS: usize = 4;

/// The newest release in /boot that has a kernel, an initrd and modules: what Debian's own loaders take.
/// `names` are those of /boot.
pub fn newest<'a>(
    names: impl IntoIterator<Item = &'a str> + Clone,
    has_modules: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let all: BTreeSet<&str> = names.clone().into_iter().collect();
    let releases = names.into_iter().filter_map(|name| name.strip_prefix("vmlinuz-"));
    releases
        .filter(|release| all.contains(format!("initrd.img-{release}").as_str()) && has_modules(release))
        .max_by(|a, b| version::compare(a, b))
}

/// What is wanted, the most important first: what runs, what the next start takes, what came up last, then the
/// other profiles'. Each once, and no more than there may be.
pub fn wanted(by_importance: impl IntoIterator<Item = KernelKey>) -> Vec<KernelKey> {
    let mut found: Vec<KernelKey> = Vec::new();
    for key in by_importance {
        if found.len() < MOST_KERNELS && !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

/// What gives way when there is no room for `wanted[at]`: what nobody wants, then the least important that is
/// wanted less than it. The first of them, what runs, never.
pub fn gives_way<'a>(there: &'a [KernelKey], wanted: &[KernelKey], at: usize) -> Option<&'a KernelKey> {
    let rank = |key: &KernelKey| wanted.iter().position(|other| other == key);
    let worst = there.iter().max_by_key(|key| rank(key).unwrap_or(usize::MAX))?;
    (rank(worst).unwrap_or(usize::MAX) > at.max(1)).then_some(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_is_whole() {
        let names = [
            "vmlinuz-6.1.0-9-amd64",
            "initrd.img-6.1.0-9-amd64",
            "vmlinuz-6.1.0-37-amd64",
            "initrd.img-6.1.0-37-amd64",
            "vmlinuz-6.12.1-amd64",
            "vmlinuz-7-amd64",
            "initrd.img-7-amd64",
            "grub",
            "vmlinuz",
        ];
        let of = |has: fn(&str) -> bool| newest(names, has);
        assert_eq!(of(|release| release != "7-amd64"), Some("6.1.0-37-amd64"), "6.12.1 has no initrd");
        assert_eq!(of(|release| release.ends_with("-9-amd64")), Some("6.1.0-9-amd64"));
        assert_eq!(of(|_| false), None);
    }

    fn keys(text: &str) -> Vec<KernelKey> {
        text.split(' ').map(|name| format!("{name}-00000000").parse().expect("a key")).collect()
    }

    #[test]
    fn four_at_most_and_each_once() {
        assert_eq!(wanted(keys("a b a c d e")), keys("a b c d"));
    }

    #[test]
    fn what_runs_gives_way_to_nothing() {
        let wanted = keys("run next good other");
        let worst =
            |there: &str, at| gives_way(&keys(there), &wanted, at).map(|key| key.release().to_owned());
        assert_eq!(worst("run good x", 1).as_deref(), Some("x"));
        assert_eq!(worst("run good other", 1).as_deref(), Some("other"));
        assert_eq!(worst("run good", 1).as_deref(), Some("good"));
        assert_eq!(worst("run", 1), None);
        assert_eq!(worst("next", 0), None, "not even for what runs: it is there to start next");
        assert_eq!(worst("run next", 2), None);
    }
}
