//! Classes R.

use super::Class;

pub fn text(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::R1 => {
            "\
A cache is made by a program from what packages bring. One that lies in the profile was made over the old base:
over the candidate it hides the candidate's own, and knows nothing of what is new there.

  /var/cache/swcatalog

Rebase drops it. Caches that packages keep up to date by triggers have classes of their own (R2 to R10)."
        }
        Class::R2 => {
            "\
The dynamic linker finds libraries by /etc/ld.so.cache. Any package with a library you installed made it anew in
the profile. Over the candidate it lacks the candidate's new libraries and names those that are gone.

  ldconfig        makes it; packages have dpkg run it (a trigger of libc-bin)

Rebase runs that trigger over the merged profile."
        }
        Class::R3 => {
            "\
The index of man pages (apropos, whatis) was made in the profile and does not know the candidate's pages.

Rebase has man-db make it anew: a trigger on /usr/share/man."
        }
        Class::R4 => {
            "\
The cache of fonts was made in the profile and does not know the candidate's fonts.

Rebase runs fc-cache: a trigger on /usr/share/fonts."
        }
        Class::R5 => {
            "\
The cache of icons was made in the profile. A program that goes by it finds no icon that the candidate brings.

Rebase has it made anew: a trigger on /usr/share/icons."
        }
        Class::R6 => {
            "\
Which program opens which type of file is looked up in caches that were made in the profile, from the packages
there were then.

  /usr/share/applications/mimeinfo.cache      /usr/share/mime/mime.cache

Rebase has them made anew by triggers on /usr/share/applications and /usr/share/mime/packages."
        }
        Class::R7 => {
            "\
Settings of desktop programs are compiled from schemas into one file, which was made in the profile. A program of
the candidate whose schema is missing in it does not start.

  /usr/share/glib-2.0/schemas/gschemas.compiled

Rebase has it made anew: a trigger on the directory."
        }
        Class::R8 => {
            "\
The bundle of authorities whose certificates are trusted was made in the profile. Over the candidate it would go
on trusting an authority that was taken out, and not know a new one.

  update-ca-certificates        makes it from /usr/share/ca-certificates and /usr/local/share/ca-certificates

Rebase has it made anew; what you put below /usr/local/share/ca-certificates is in it again."
        }
        Class::R9 => {
            "\
systemd's database of hardware, or its catalog of messages, was made in the profile from files that the candidate
has differently.

  systemd-hwdb update        journalctl --update-catalog

Rebase has them made anew."
        }
        Class::R10 => {
            "\
Compiled locales, in a format that belongs to the version of the C library they were made with. The candidate has
another version.

  locale-gen        makes them from /etc/locale.gen

Rebase runs it with your /etc/locale.gen."
        }
        Class::R13 => {
            "\
What apt keeps to be faster: its reading of lists and of the package database, and packages it fetched. All of
it is of another time.

  /var/cache/apt/pkgcache.bin

Rebase drops it; apt makes and fetches it again."
        }
        Class::R16 => {
            "\
Compiled profiles of AppArmor, from files in /etc/apparmor.d that the candidate has differently. Rebase drops them;
they are compiled again when AppArmor starts."
        }
        _ => return None,
    })
}
