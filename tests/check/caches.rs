//! Classes R. What a program would make is written by hand: what counts is whose it is.

use crate::case::{Case, Tree};
use crate::deb::Deb;

fn nothing(_: &Tree) {}

/// A package with a file that a cache is made from, and the cache of a base, if it has one.
fn made(
    source: &'static str,
    version: &'static str,
    cache: Option<(&'static str, &'static str)>,
) -> impl Fn(&Tree) {
    move |tree| {
        tree.install(&[Deb::new("source", version).file(source, version)]);
        if let Some((path, text)) = cache {
            tree.write(path, text);
        }
    }
}

/// The cache lies in the profile: found when the candidate has other sources, whether a base has the cache
/// or not, and not when all is the same.
fn case_of(class: &str, subject: &str, cache: &'static str, source: &'static str) {
    let mine = |profile: &Tree| profile.write(cache, "made in the profile");
    let finding = format!("{class} automatic {subject}");
    Case::of(made(source, "1", None), made(source, "2", None), mine).is(&[&finding]);
    let (old, new) = (made(source, "1", Some((cache, "1"))), made(source, "2", Some((cache, "2"))));
    Case::of(old, new, mine).is(&[&finding]);
}

fn near_miss_of(cache: &'static str, source: &'static str) {
    let mine = |profile: &Tree| profile.write(cache, "made in the profile");
    Case::on(made(source, "1", Some((cache, "1"))), mine).is(&[]);
    // The other sources are elsewhere, and the cache is the base's.
    Case::of(made(source, "1", Some((cache, "1"))), made(source, "2", Some((cache, "2"))), nothing).is(&[]);
}

#[test]
fn r1_found_a_cache_that_hides_the_candidates() {
    let catalog = |text: &'static str| move |tree: &Tree| tree.write("var/cache/swcatalog/x", text);
    Case::of(catalog("1"), catalog("2"), catalog("made in the profile"))
        .is(&["R1 automatic /var/cache/swcatalog"]);
}

#[test]
fn r1_near_miss_the_candidate_has_none_or_the_same() {
    let catalog = |text: &'static str| move |tree: &Tree| tree.write("var/cache/swcatalog/x", text);
    Case::of(catalog("1"), nothing, catalog("2")).is(&[]);
    Case::on(catalog("1"), catalog("made in the profile")).is(&[]);
}

#[test]
fn r2_found_a_cache_of_the_linker() {
    case_of("R2", "/etc/ld.so.cache", "etc/ld.so.cache", "usr/lib/libx.so.1");
}

#[test]
fn r2_near_miss_the_same_packages() {
    near_miss_of("etc/ld.so.cache", "usr/lib/libx.so.1");
}

#[test]
fn r3_found_an_index_of_man() {
    case_of("R3", "/var/cache/man", "var/cache/man/index.db", "usr/share/man/man1/x.1");
}

#[test]
fn r3_near_miss_the_same_pages() {
    near_miss_of("var/cache/man/index.db", "usr/share/man/man1/x.1");
    // Other packages, but no other pages.
    let other = |version: &'static str| made("usr/share/x", version, None);
    Case::of(other("1"), other("2"), |profile| profile.write("var/cache/man/index.db", "mine")).is(&[]);
}

#[test]
fn r4_found_fonts() {
    case_of("R4", "/var/cache/fontconfig", "var/cache/fontconfig/x.cache-8", "usr/share/fonts/x.ttf");
}

#[test]
fn r4_near_miss_the_same_fonts() {
    near_miss_of("var/cache/fontconfig/x.cache-8", "usr/share/fonts/x.ttf");
}

const ICONS: &str = "usr/share/icons/hicolor/icon-theme.cache";

#[test]
fn r5_found_icons() {
    case_of("R5", &format!("/{ICONS}"), ICONS, "usr/share/icons/hicolor/48x48/x.png");
}

#[test]
fn r5_near_miss_the_same_icons() {
    near_miss_of(ICONS, "usr/share/icons/hicolor/48x48/x.png");
}

#[test]
fn r6_found_types_of_files() {
    let cache = "usr/share/applications/mimeinfo.cache";
    case_of("R6", "/usr/share/applications/mimeinfo.cache", cache, "usr/share/applications/x.desktop");
    case_of("R6", "/usr/share/mime", "usr/share/mime/mime.cache", "usr/share/mime/packages/x.xml");
}

#[test]
fn r6_near_miss_the_same_types() {
    near_miss_of("usr/share/mime/mime.cache", "usr/share/mime/packages/x.xml");
}

const SCHEMAS: &str = "usr/share/glib-2.0/schemas/gschemas.compiled";

#[test]
fn r7_found_schemas() {
    case_of("R7", &format!("/{SCHEMAS}"), SCHEMAS, "usr/share/glib-2.0/schemas/x.gschema.xml");
}

#[test]
fn r7_near_miss_the_same_schemas() {
    near_miss_of(SCHEMAS, "usr/share/glib-2.0/schemas/x.gschema.xml");
}

const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

#[test]
fn r8_found_authorities() {
    case_of("R8", &format!("/{BUNDLE}"), BUNDLE, "usr/share/ca-certificates/mozilla/x.crt");
}

#[test]
fn r8_near_miss_the_same_authorities() {
    near_miss_of(BUNDLE, "usr/share/ca-certificates/mozilla/x.crt");
}

#[test]
fn r9_found_hardware_and_messages() {
    case_of("R9", "/etc/udev/hwdb.bin", "etc/udev/hwdb.bin", "usr/lib/udev/hwdb.d/x.hwdb");
    let catalog = "var/lib/systemd/catalog/database";
    case_of("R9", "/var/lib/systemd/catalog", catalog, "usr/lib/systemd/catalog/x.catalog");
}

#[test]
fn r9_near_miss_the_same_hardware() {
    near_miss_of("etc/udev/hwdb.bin", "usr/lib/udev/hwdb.d/x.hwdb");
}

fn libc(version: &'static str) -> impl Fn(&Tree) {
    move |tree| tree.install(&[Deb::new("libc-bin", version).file("usr/share/libc", version)])
}

#[test]
fn r10_found_locales_of_another_library() {
    let mine = |profile: &Tree| profile.write("usr/lib/locale/locale-archive", "mine");
    Case::of(libc("1"), libc("2"), mine).is(&["R10 automatic /usr/lib/locale/locale-archive"]);
}

#[test]
fn r10_near_miss_the_same_library() {
    let other = |version: &'static str| {
        move |tree: &Tree| {
            libc("1")(tree);
            made("usr/share/x", version, None)(tree);
        }
    };
    let mine = |profile: &Tree| profile.write("usr/lib/locale/locale-archive", "mine");
    Case::of(other("1"), other("2"), mine).is(&[]);
}

#[test]
fn r13_found_what_apt_has_read() {
    let mine = |profile: &Tree| profile.write("var/cache/apt/pkgcache.bin", "x");
    Case::on(nothing, mine).is(&["R13 automatic /var/cache/apt"]);
}

#[test]
fn r13_near_miss_the_directory_or_no_other_base() {
    Case::on(nothing, |profile| drop(profile.sh("mkdir -p var/cache/apt/archives/partial"))).is(&[]);
    Case::on(nothing, |profile| profile.write("var/cache/apt/pkgcache.bin", "x")).doctor_is(&[]);
}

#[test]
fn r16_found_profiles_of_apparmor() {
    let rules = |text: &'static str| move |tree: &Tree| tree.write("etc/apparmor.d/x", text);
    Case::of(rules("1"), rules("2"), |profile| profile.write("var/cache/apparmor/x", "mine"))
        .is(&["R16 automatic /var/cache/apparmor"]);
}

#[test]
fn r16_near_miss_the_same_rules() {
    let rules = |tree: &Tree| tree.write("etc/apparmor.d/x", "1");
    Case::on(rules, |profile| profile.write("var/cache/apparmor/x", "mine")).is(&[]);
}
