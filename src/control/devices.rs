//! The devices behind the door: what is known of those nobody named, and how they get names.

use serde::{Deserialize, Serialize};
#[cfg(test)]
use utoipa::{IntoParams, ToSchema};

use super::{ControlError, RevokeQuery};
use crate::mac::Mac;

/// A MAC address of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct DeviceMac {
    /// The MAC address.
    pub mac: String,
    /// Whether the device made it up: it may make up another one some day.
    pub made_up: bool,
    /// Whether others stand behind it, as behind a repeater.
    pub shared: bool,
}

/// Somebody who asked and whom nobody named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct NewDevice {
    /// Its number, by which it can be named; kept until it is named or forgotten.
    pub number: u32,
    /// Its MAC address; none when it is seen by address only.
    pub mac: Option<DeviceMac>,
    /// The addresses it has now, or the last it was seen with.
    pub addresses: Vec<String>,
    /// What it calls itself, as its DHCP lease says.
    pub host_name: Option<String>,
    /// Its DHCP client identifier, in hexadecimal.
    pub client_id: Option<String>,
    /// When it asked first; none when the clock was not set.
    pub first_seen: Option<String>,
    /// When it was last seen in the home.
    pub last_seen: Option<String>,
    /// Queries from its addresses among the newest 1,000 that the log remembers.
    pub recent_queries: u64,
    /// Those that were blocked.
    pub recent_blocked: u64,
    /// The device it may be, which changed its MAC address; a guess that nothing rests on.
    pub looks_like: Option<LooksLike>,
}

/// A device that somebody new may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct LooksLike {
    /// The device, which is not seen any more.
    pub device: String,
    /// Its profile.
    pub profile: String,
    /// What is the same, as in `host name mias-ipad`. A device says that of itself.
    pub because: String,
    /// What would make the two one.
    pub command: String,
}

/// Whom to name, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct NameDeviceQuery {
    /// A device's name, the number of a new one, a MAC address, an address, or the host name of a
    /// lease that no other has.
    pub who: String,
    /// The name.
    pub name: String,
}

/// Whose a device is to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct AssignDeviceQuery {
    /// As for naming.
    pub who: String,
    /// Its profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The name of a new device; without it, its host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// One more MAC address of a device that has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// Which device to forget.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ForgetDeviceQuery {
    /// As for naming.
    pub who: String,
}

/// A change of the devices, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceRequest {
    /// A name, new or another.
    Name {
        /// Who.
        who: String,
        /// The name.
        name: String,
    },
    /// A profile, a further MAC address, or both.
    Assign {
        /// Who.
        who: String,
        /// The profile.
        profile: Option<String>,
        /// The name of a new device.
        name: Option<String>,
        /// The MAC address.
        mac: Option<Mac>,
    },
    /// One more id of its own.
    Invite {
        /// Who.
        who: String,
    },
    /// No id counts any more.
    Revoke {
        /// Who.
        who: String,
    },
    /// Not to be known any more.
    Forget {
        /// Who.
        who: String,
    },
}

impl From<NameDeviceQuery> for DeviceRequest {
    fn from(query: NameDeviceQuery) -> Self {
        Self::Name {
            who: query.who,
            name: query.name,
        }
    }
}

impl From<RevokeQuery> for DeviceRequest {
    fn from(query: RevokeQuery) -> Self {
        Self::Revoke { who: query.who }
    }
}

impl From<ForgetDeviceQuery> for DeviceRequest {
    fn from(query: ForgetDeviceQuery) -> Self {
        Self::Forget { who: query.who }
    }
}

impl TryFrom<AssignDeviceQuery> for DeviceRequest {
    type Error = ControlError;

    fn try_from(query: AssignDeviceQuery) -> Result<Self, ControlError> {
        if query.profile.is_none() && query.mac.is_none() {
            return Err(ControlError::bad_request(
                "neither a profile nor a MAC address is given",
                "as in `hedgerow device assign tablet --profile schoolchild`",
            ));
        }
        let mac = query.mac.map(|text| {
            text.parse().map_err(|error| {
                let error = format!("`{}` is no MAC address: {error}", text.escape_debug());
                ControlError::bad_request(error, "")
            })
        });
        Ok(Self::Assign {
            who: query.who,
            profile: query.profile,
            name: query.name,
            mac: mac.transpose()?,
        })
    }
}

/// What was done to a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ToSchema))]
#[serde(default)]
pub struct DeviceChange {
    /// Its name now; of one that is forgotten, the name or what it was known by.
    pub device: String,
    /// `added`, `changed`, `revoked` or `forgotten`.
    pub done: String,
    /// Its profile.
    pub profile: Option<String>,
    /// What it is recognised by.
    pub known_by: Vec<String>,
    /// The file that was changed; none if that was not needed.
    pub file: Option<String>,
    /// What somebody should know, one sentence each.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_needs_something_to_assign() {
        let refused = |query: AssignDeviceQuery| {
            let error = DeviceRequest::try_from(query).unwrap_err();
            error.body().error.clone()
        };
        assert_eq!(
            refused(AssignDeviceQuery::default()),
            "neither a profile nor a MAC address is given"
        );
        let mac = Some("ff:ff:ff:ff:ff:ff\u{1b}".to_owned());
        let query = AssignDeviceQuery {
            mac,
            ..AssignDeviceQuery::default()
        };
        assert!(refused(query).starts_with("`ff:ff:ff:ff:ff:ff\\u{1b}` is no MAC address: "));
    }
}
