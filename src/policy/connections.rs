//! The files that make a device know a network, by the name people have for it. Who goes back without them
//! sits before a device that is not on the net any more.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a connection is called, e.g. `the Wi-Fi connection 'Home'`; None: it is no such file. `text` is
/// what is in it now.
pub fn name(path: &Path, text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let file = String::from_utf8_lossy(path.file_name()?.as_bytes()).into_owned();
    let (stem, ending) = file.rsplit_once('.').unwrap_or((&file, ""));
    match path.parent()?.to_str()? {
        "etc/NetworkManager/system-connections" => Some(network_manager(&text, stem)),
        "etc/wpa_supplicant" if ending == "conf" => Some(wpa_supplicant(&text, path)),
        "etc" if file == "wpa_supplicant.conf" => Some(wpa_supplicant(&text, path)),
        "var/lib/iwd" if matches!(ending, "psk" | "open" | "8021x") => {
            Some(format!("the Wi-Fi connection '{}'", iwd(stem)))
        }
        "etc/netplan" if matches!(ending, "yaml" | "yml") => Some(settings(path)),
        "etc/systemd/network" if matches!(ending, "network" | "netdev" | "link") => Some(settings(path)),
        _ => None,
    }
}

fn settings(path: &Path) -> String {
    format!("the network settings in /{}", path.display())
}

/// A keyfile: `id=` and `type=` below `[connection]` (nm-settings-keyfile(5)).
fn network_manager(text: &str, stem: &str) -> String {
    let mut section = "";
    let (mut id, mut kind) = (None, None);
    for line in text.lines().map(str::trim) {
        match line.split_once('=') {
            None if line.starts_with('[') => section = line,
            Some((key, value)) if section == "[connection]" => match key.trim() {
                "id" => id = Some(value.trim()),
                "type" => kind = Some(value.trim()),
                _ => {}
            },
            _ => {}
        }
    }
    let what = match kind {
        Some("wifi" | "802-11-wireless") => "Wi-Fi connection",
        Some("vpn" | "wireguard") => "VPN connection",
        _ => "network connection",
    };
    format!("the {what} '{}'", id.unwrap_or(stem))
}

/// `ssid="Home"` of each network (wpa_supplicant.conf(5)); unquoted it is hexadecimal.
fn wpa_supplicant(text: &str, path: &Path) -> String {
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("ssid="));
    let names: Vec<String> = names.map(|name| format!("'{}'", name.trim_matches('"'))).collect();
    match names.as_slice() {
        [] => settings(path),
        [one] => format!("the Wi-Fi connection {one}"),
        more => format!("the Wi-Fi connections {}", more.join(", ")),
    }
}

/// Names with other characters than letters, digits, `-`, `_` and blanks are `=` and hexadecimal
/// (iwd.network(5)).
fn iwd(stem: &str) -> String {
    let Some(digits) = stem.strip_prefix('=') else { return stem.to_owned() };
    let pairs: Option<Vec<u8>> = (0..digits.len() / 2)
        .map(|at| digits.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    pairs.map_or(stem.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_called_what_people_call_it() {
        let wifi = "[connection]\nid=Home\nuuid=1\ntype=wifi\n\n[wifi]\nssid=other\nid=no\n";
        let rows = [
            ("etc/NetworkManager/system-connections/x.nmconnection", wifi, "the Wi-Fi connection 'Home'"),
            ("etc/NetworkManager/system-connections/x.nmconnection", "", "the network connection 'x'"),
            (
                "etc/NetworkManager/system-connections/old",
                "[connection]\n id = O \ntype=vpn",
                "the VPN connection 'O'",
            ),
            (
                "etc/wpa_supplicant/wpa_supplicant-wlan0.conf",
                "network={\n\tssid=\"A\"\n}\nnetwork={\nssid=\"B b\"\n#ssid=\"C\"\n}",
                "the Wi-Fi connections 'A', 'B b'",
            ),
            ("etc/wpa_supplicant.conf", "network={ \nssid=\"A\" }", "the Wi-Fi connection 'A\" }'"),
            ("etc/wpa_supplicant/x.conf", "", "the network settings in /etc/wpa_supplicant/x.conf"),
            ("var/lib/iwd/Home 5G.psk", "", "the Wi-Fi connection 'Home 5G'"),
            ("var/lib/iwd/=43616665cc81.open", "", "the Wi-Fi connection 'Cafe\u{301}'"),
            ("etc/netplan/50-x.yaml", "", "the network settings in /etc/netplan/50-x.yaml"),
            (
                "etc/systemd/network/wlan.network",
                "",
                "the network settings in /etc/systemd/network/wlan.network",
            ),
        ];
        for (path, text, expected) in rows {
            assert_eq!(name(Path::new(path), text.as_bytes()).as_deref(), Some(expected), "{path}");
        }
        for other in [
            "etc/wpa_supplicant/functions.sh",
            "var/lib/iwd/hotspot",
            "etc/fstab",
            "x",
            "etc/systemd/network/x/y.network",
        ] {
            assert_eq!(name(Path::new(other), b""), None, "{other}");
        }
        assert!(name(Path::new("var/lib/iwd/=4é.psk"), b"\xff").is_some());
    }
}
