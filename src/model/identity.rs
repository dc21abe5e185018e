//! Who a profile is to others: which hostname and which ssh host keys it has. Its machine-id is always its
//! own. Part of profile.json, so it does not roll back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{Error, Result};

/// `"identity": {"hostname": "profile"}`; a field that is missing, or a word nobody knows yet, means
/// `device`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hostname: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    ssh_host_keys: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Which hostname a profile has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hostname {
    /// The one all profiles of this device have that do not ask for another.
    Device,
    /// Its own, as it was set in it.
    Profile,
    /// Always this one.
    Fixed(String),
}

impl Identity {
    pub fn is_default(&self) -> bool {
        *self == Identity::default()
    }

    pub fn hostname(&self) -> Hostname {
        match self.hostname.as_str() {
            "" | "device" => Hostname::Device,
            "profile" => Hostname::Profile,
            name => Hostname::Fixed(name.to_owned()),
        }
    }

    pub fn set_hostname(&mut self, text: &str) -> Result<()> {
        if !matches!(text, "device" | "profile") && !is_hostname(text) {
            return Err(Error::Usage(format!(
                "{text:?} is not a hostname: up to 64 of letters, digits, - and ., no part begins or ends with -"
            )));
        }
        text.clone_into(&mut self.hostname);
        Ok(())
    }

    /// Has the profile ssh host keys of its own? Else it has the device's.
    pub fn own_keys(&self) -> bool {
        self.ssh_host_keys == "profile"
    }

    pub fn set_own_keys(&mut self, own: bool) {
        self.ssh_host_keys = if own { "profile".into() } else { "device".into() };
    }
}

/// What hostname(7) and the kernel allow.
pub fn is_hostname(text: &str) -> bool {
    let part = |part: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(inner)
    };
    text.len() <= 64 && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_new_is_the_device_s_and_is_kept() {
        let text = r#"{"ssh_host_keys":"token","later":[1]}"#;
        let identity: Identity = serde_json::from_str(text).unwrap();
        assert_eq!((identity.hostname(), identity.own_keys()), (Hostname::Device, false));
        assert_eq!(serde_json::to_string(&identity).unwrap(), text);
        assert!(Identity::default().is_default() && !identity.is_default());
    }

    #[test]
    fn hostnames() {
        let mut identity = Identity::default();
        for good in ["device", "profile", "box", "a-1.lan", "X"] {
            identity.set_hostname(good).unwrap();
        }
        for bad in ["", "-a", "a-", "a..b", "a b", "a\n", "\u{fc}", "a/b", &"x".repeat(65)] {
            assert!(identity.set_hostname(bad).is_err(), "{bad:?}");
        }
        assert_eq!(identity.hostname(), Hostname::Fixed("X".into()));
    }
}
