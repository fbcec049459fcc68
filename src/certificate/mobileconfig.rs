//! Configuration profiles for Apple's devices: property lists in XML that carry DNS settings
//! (`com.apple.dnsSettings.managed`) and the household's authority (`com.apple.security.root`).
//!
//! They are signed ([`super::signed`]) with the key that encrypted DNS is served with, so that a device
//! which trusts the home's certificate shows that the home wrote the file, and that nobody changed it
//! on the way.

use sha2::{Digest, Sha256};

use super::encoding::base64;

/// What a profile carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Profile<'p> {
    /// The server's name.
    pub name: &'p str,
    /// Whose it is: the device's name; none for one that carries the authority alone.
    pub device: Option<&'p str>,
    /// Where DNS over HTTPS is asked, with the device's id; none for the authority alone.
    pub url: Option<&'p str>,
    /// The household's authorities, in DER; none where the certificate is trusted anyway.
    pub roots: &'p [&'p [u8]],
    /// Whether the settings cannot be switched off. Heeded on supervised devices only.
    pub is_locked: bool,
}

impl Profile<'_> {
    /// The profile as a file.
    pub(super) fn to_xml(self) -> String {
        let mut payloads = String::new();
        for (root, number) in self.roots.iter().zip(1..) {
            let content = base64(root);
            let part = match number {
                1 => "root".to_owned(),
                _ => format!("root{number}"),
            };
            payloads += &self.payload(
                "com.apple.security.root",
                &part,
                "Certificate of the home's DNS",
                &format!(
                    "<key>PayloadCertificateFileName</key><string>{}.cer</string>\n\
                     <key>PayloadContent</key><data>{content}</data>\n",
                    escape(self.name)
                ),
            );
        }
        if let Some(url) = self.url {
            let lock = match self.is_locked {
                true => "<key>ProhibitDisablement</key><true/>\n",
                false => "",
            };
            payloads += &self.payload(
                "com.apple.dnsSettings.managed",
                "dns",
                "DNS of the home",
                &format!(
                    "<key>DNSSettings</key><dict>\n\
                     <key>DNSProtocol</key><string>HTTPS</string>\n\
                     <key>ServerURL</key><string>{}</string>\n</dict>\n{lock}",
                    escape(url)
                ),
            );
        }
        let title = match self.device {
            Some(device) => format!("DNS of the home, for {device}"),
            None => "Certificate of the home's DNS".to_owned(),
        };
        let why = match self.url {
            Some(_) => {
                "This device asks the home's DNS, with its own rules, wherever it is. Whoever runs \
                 that can see which names it asks for, as far as the home keeps them."
            }
            None => "Lets this device recognise the home's DNS. It is good for nothing else.",
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
             \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <plist version=\"1.0\"><dict>\n\
             <key>PayloadContent</key><array>\n{payloads}</array>\n\
             <key>PayloadDescription</key><string>{}</string>\n\
             <key>PayloadDisplayName</key><string>{}</string>\n\
             <key>PayloadIdentifier</key><string>{}</string>\n\
             <key>PayloadOrganization</key><string>Hedgerow</string>\n\
             <key>PayloadType</key><string>Configuration</string>\n\
             <key>PayloadUUID</key><string>{}</string>\n\
             <key>PayloadVersion</key><integer>1</integer>\n\
             </dict></plist>\n",
            escape(why),
            escape(&title),
            escape(&self.identifier("")),
            self.uuid("profile"),
        )
    }

    fn payload(&self, kind: &str, part: &str, title: &str, content: &str) -> String {
        format!(
            "<dict>\n{content}\
             <key>PayloadDisplayName</key><string>{}</string>\n\
             <key>PayloadIdentifier</key><string>{}</string>\n\
             <key>PayloadType</key><string>{kind}</string>\n\
             <key>PayloadUUID</key><string>{}</string>\n\
             <key>PayloadVersion</key><integer>1</integer>\n</dict>\n",
            escape(title),
            escape(&self.identifier(part)),
            self.uuid(part),
        )
    }

    /// By which a profile is known: one that is installed again takes the place of the first.
    fn identifier(&self, part: &str) -> String {
        let what = if self.url.is_some() { "dns" } else { "ca" };
        let mut labels: Vec<&str> = self.name.rsplit('.').collect();
        labels.extend(["hedgerow", what, part]);
        labels.retain(|label| !label.is_empty());
        labels.join(".")
    }

    /// A UUID of the eighth kind (RFC 9562 section 5.8), the same for the same content.
    fn uuid(&self, part: &str) -> String {
        let mut hash = Sha256::new();
        for text in [
            part,
            self.name,
            self.url.unwrap_or_default(),
            if self.is_locked { "locked" } else { "" },
        ] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        for root in self.roots {
            hash.update(root);
        }
        let hash = hash.finalize();
        let mut octets = [0_u8; 16];
        octets.copy_from_slice(&hash[..16]);
        octets[6] = octets[6] & 0x0f | 0x80;
        octets[8] = octets[8] & 0x3f | 0x80;
        let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

/// `text` as it may stand in XML. Control characters, which may not, are left out.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => {}
            // Not characters to XML.
            '\u{fffe}' | '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    const PROFILE: Profile<'_> = Profile {
        name: "dns.home.example",
        device: Some("Mia's <phone> & \u{1b}co"),
        url: Some("https://dns.home.example/dns-query/aaaa"),
        roots: &[&[0x30, 0x03, 0x02, 0x01, 0x05]],
        is_locked: false,
    };

    /// What Python's reader of property lists makes of it, as its JSON; none without Python.
    fn read(xml: &str) -> Option<serde_json::Value> {
        let script = "import json,plistlib,sys\n\
            p=plistlib.loads(sys.stdin.buffer.read())\n\
            print(json.dumps(p,default=lambda b:list(b)))";
        let python = Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut python) = python else {
            eprintln!("skipped: no python3");
            return None;
        };
        let mut stdin = python.stdin.take().unwrap();
        stdin.write_all(xml.as_bytes()).unwrap();
        drop(stdin);
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success(), "{xml}");
        Some(serde_json::from_slice(&output.stdout).unwrap())
    }

    #[test]
    fn a_property_list_reader_understands_it() {
        let Some(list) = read(&PROFILE.to_xml()) else {
            return;
        };
        assert_eq!(list["PayloadType"], "Configuration");
        assert_eq!(list["PayloadVersion"], 1);
        assert_eq!(list["PayloadIdentifier"], "example.home.dns.hedgerow.dns");
        assert_eq!(
            list["PayloadDisplayName"],
            "DNS of the home, for Mia's <phone> & co"
        );
        let payloads = list["PayloadContent"].as_array().unwrap();
        assert_eq!(payloads.len(), 2);
        assert_eq!(payloads[0]["PayloadType"], "com.apple.security.root");
        assert_eq!(
            payloads[0]["PayloadContent"],
            serde_json::json!([0x30, 3, 2, 1, 5])
        );
        let dns = &payloads[1];
        assert_eq!(dns["PayloadType"], "com.apple.dnsSettings.managed");
        assert_eq!(dns["DNSSettings"]["DNSProtocol"], "HTTPS");
        assert_eq!(
            dns["DNSSettings"]["ServerURL"],
            "https://dns.home.example/dns-query/aaaa"
        );
        assert_eq!(dns.get("ProhibitDisablement"), None);
        let mut ids: Vec<&str> = [&list, &payloads[0], &payloads[1]]
            .map(|it| it["PayloadUUID"].as_str().unwrap())
            .to_vec();
        assert!(ids.iter().all(|it| it.len() == 36 && &it[14..15] == "8"));
        ids.dedup();
        assert_eq!(ids.len(), 3);

        let locked = Profile {
            is_locked: true,
            roots: &[],
            ..PROFILE
        };
        let list = read(&locked.to_xml()).unwrap();
        let payloads = list["PayloadContent"].as_array().unwrap();
        assert_eq!(payloads.len(), 1);
        assert_eq!(payloads[0]["ProhibitDisablement"], true);

        let two = Profile {
            roots: &[
                &[0x30, 0x03, 0x02, 0x01, 0x05],
                &[0x30, 0x03, 0x02, 0x01, 0x06],
            ],
            ..PROFILE
        };
        let list = read(&two.to_xml()).unwrap();
        let payloads = list["PayloadContent"].as_array().unwrap();
        assert_eq!(payloads.len(), 3);
        assert_ne!(payloads[0]["PayloadUUID"], payloads[1]["PayloadUUID"]);
        assert_ne!(
            payloads[0]["PayloadIdentifier"],
            payloads[1]["PayloadIdentifier"]
        );

        let authority = Profile {
            device: None,
            url: None,
            ..PROFILE
        };
        let list = read(&authority.to_xml()).unwrap();
        assert_eq!(list["PayloadIdentifier"], "example.home.dns.hedgerow.ca");
        assert_eq!(list["PayloadContent"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn the_same_profile_is_the_same_file() {
        assert_eq!(PROFILE.to_xml(), PROFILE.to_xml());
        let other = Profile {
            url: Some("https://dns.home.example/dns-query/bbbb"),
            ..PROFILE
        };
        assert_ne!(PROFILE.uuid("dns"), other.uuid("dns"));
    }
}
