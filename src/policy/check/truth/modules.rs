//! Kernel modules in the profile, and the lists depmod(8) makes of all of them (P21). The kernel is the base's.

use std::collections::BTreeMap;

use crate::model::error::Result;
use crate::model::tree::{self, Object, Triple};
use crate::policy::check::Look;
use crate::policy::check::class::Class;
use crate::policy::check::finding::{Finding, Severity, Subject, readable};
use crate::policy::check::owners::Owned;
use crate::policy::compare::{Change, change_by};

const MODULES: &[u8] = b"usr/lib/modules";
const NAMED: usize = 3;

pub fn find(look: &Look, found: &mut Vec<Finding>) -> Result<()> {
    for (kernel, files) in kernels(look) {
        let dir = [MODULES, b"/", kernel].concat();
        let candidate_has_it = look.trees.new.find(&dir)?.is_some_and(|object| object.is_directory());
        let finding = match candidate_has_it {
            true => outdated_lists(&dir, &files),
            false => without_a_kernel(look, &dir, &files)?,
        };
        if let Some(finding) = finding {
            // What the rules about files say of the same paths is only a part of it.
            let within = |subject: &Subject| matches!(subject, Subject::Path(path) if *path == dir || tree::is_below(path, &dir));
            let by_files = |class| matches!(class, Class::F10 | Class::F15 | Class::F16);
            found.retain(|f| !(by_files(f.class) && within(&f.subject)));
            found.push(finding);
        }
    }
    Ok(())
}

/// By the kernel's release, e.g. `6.12.41+deb13-arm64`: the files of nobody's, unless a package of the
/// profile's own brings that kernel.
fn kernels<'t>(look: &Look<'t>) -> BTreeMap<&'t [u8], Vec<&'t Triple>> {
    let triples = look.trees.triples;
    let start = triples.partition_point(|t| tree::order(&t.path, MODULES).is_lt());
    let mut kernels: BTreeMap<&[u8], Option<Vec<&Triple>>> = BTreeMap::new();
    for (place, triple) in triples.iter().enumerate().skip(start) {
        if triple.path == MODULES {
            continue;
        }
        if !tree::is_below(&triple.path, MODULES) {
            break;
        }
        let rest = &triple.path[MODULES.len() + 1..];
        let kernel = rest.split(|b| *b == b'/').next().unwrap_or(rest);
        let files = kernels.entry(kernel).or_insert_with(|| Some(Vec::new()));
        if triple.mine.as_ref().is_none_or(|mine| mine.is_directory()) {
            continue;
        }
        match look.owned(place) {
            Owned::Kept if is_of_the_kernel(rest) => *files = None,
            Owned::Nobody => files.iter_mut().for_each(|files| files.push(triple)),
            _ => {}
        }
    }
    kernels.into_iter().filter_map(|(kernel, files)| Some((kernel, files?))).collect()
}

/// `6.12.41/kernel/...`: what a kernel's own package has. Others put theirs below updates/ or extra/.
fn is_of_the_kernel(below_modules: &[u8]) -> bool {
    below_modules.split(|b| *b == b'/').nth(1) == Some(b"kernel")
}

fn is_module(path: &[u8]) -> bool {
    let name = tree::name(path);
    [&b".ko"[..], b".ko.xz", b".ko.zst", b".ko.gz"].iter().any(|ending| name.ends_with(ending))
}

/// `modules.dep`, `modules.alias.bin`, ...
fn is_list(path: &[u8]) -> bool {
    tree::name(path).starts_with(b"modules.")
}

/// The candidate has this kernel, and other modules of it than the old base: the profile's lists hide them.
fn outdated_lists(dir: &[u8], files: &[&Triple]) -> Option<Finding> {
    let differs = |triple: &&&Triple| {
        let (old, mine, new) = (triple.old.as_deref(), triple.mine.as_deref(), triple.new.as_deref());
        change_by(old, mine, new, Object::same_content) == Change::Conflict
    };
    let lists: Vec<_> = files.iter().filter(|t| is_list(&t.path)).filter(differs).copied().collect();
    (!lists.is_empty()).then(|| {
        let makes = "makes the lists of modules anew, with the candidate's modules and yours";
        Finding::path(Class::P21, Severity::Automatic, dir, makes)
            .seen("lists that would hide modules", shown(&lists))
    })
}

fn without_a_kernel(look: &Look, dir: &[u8], files: &[&Triple]) -> Result<Option<Finding>> {
    if files.is_empty() {
        return Ok(None);
    }
    let modules: Vec<&Triple> = files.iter().copied().filter(|t| is_module(&t.path)).collect();
    if modules.is_empty() {
        let is_only_lists = files.iter().all(|triple| is_list(&triple.path));
        return Ok(is_only_lists.then(|| {
            let drops = "drops these lists of modules, the candidate has no such kernel";
            Finding::path(Class::P21, Severity::Automatic, dir, drops).seen("lists", shown(files))
        }));
    }
    let mut kernels: Vec<String> = Vec::new();
    look.trees.new.below(MODULES, &mut |path, object| {
        if object.is_directory() && tree::parent(path) == MODULES {
            kernels.push(readable(tree::name(path)));
        }
    })?;
    let keeps = "keeps them, and the candidate's kernel does not load them";
    let finding = Finding::path(Class::P21, Severity::Decision, dir, keeps)
        .seen("modules", shown(&modules))
        .seen("kernels of the candidate", kernels.join(", "));
    Ok(Some(match kernels.first() {
        Some(kernel) => finding
            .choice(format!("build them for it, with its headers installed: dkms autoinstall -k {kernel}")),
        None => finding.choice("build them for the kernel the machine starts with"),
    }))
}

fn shown(files: &[&Triple]) -> String {
    let names: Vec<String> = files.iter().take(NAMED).map(|t| readable(tree::name(&t.path))).collect();
    match files.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{}, and {more} more", names.join(", ")),
    }
}
