//! Profiles as the control API shows them.

use super::household::Daemon;
use crate::config::{
    self, BlockAnswer, Config, Privacy, Profile, Rule, WhenClockUnset, WhenUnsure, Youtube,
};
use crate::control::api;
use crate::proof::effect::{allowance, closes, windows, words_of};

impl Daemon {
    pub(super) fn profile_text(&self, config: &Config, profile: &Profile) -> api::Profile {
        api::Profile {
            growth: self.growth_text(config, profile),
            ..profile_text(config, profile)
        }
    }
}

/// What holds for `profile`, by the configuration alone.
fn profile_text(config: &Config, profile: &Profile) -> api::Profile {
    let rule_texts = |rules: &[Rule]| rules.iter().map(|rule| rule.text.clone()).collect();
    let is_own = |device: &&config::Device| {
        let own = config.profiles.get(device.profile);
        own.is_some_and(|own| own.name == profile.name)
    };
    let devices = config.devices.iter().filter(is_own);
    let during = profile.closings.iter().filter_map(|closing| {
        let schedule = config.schedules.get(closing.schedule)?;
        let (name, windows) = (&schedule.name, windows(schedule));
        Some(format!("{name} ({windows}) {}", closes(closing)))
    });
    let quotas = profile.quotas.iter();
    api::Profile {
        name: profile.name.clone(),
        preset: profile.preset.clone(),
        inherits: profile.lineage.clone(),
        built_in: config::is_preset(&profile.name),
        devices: devices.map(|device| device.name.clone()).collect(),
        allow_only: profile.allow_only,
        block_categories: profile.block_categories.clone(),
        block_services: profile.block_services.clone(),
        open_services: profile.open_services.clone(),
        block_lists: profile.block_lists.clone(),
        allow_lists: profile.allow_lists.clone(),
        allow: rule_texts(&profile.rules.allow),
        block: rule_texts(&profile.rules.block),
        during: during.collect(),
        quotas: quotas
            .map(|quota| format!("{} for {}", allowance(quota), words_of(&quota.of)))
            .collect(),
        when_clock_unset: match profile.when_clock_unset {
            WhenClockUnset::Close => "close",
            WhenClockUnset::Open => "open",
        }
        .to_owned(),
        safe_search: profile.safe_search,
        block_unsafe_search: profile.block_unsafe_search,
        youtube: match profile.youtube {
            Youtube::Off => "off",
            Youtube::Moderate => "moderate",
            Youtube::Strict => "strict",
        }
        .to_owned(),
        close_bypass: profile.close_bypass,
        look_alikes: profile.ways_round.look_alikes,
        unusual_types: profile.ways_round.unusual_types,
        tunnels: profile.ways_round.tunnels,
        unusual_names: profile.ways_round.unusual_names,
        pinned_egress: profile.pinned_egress,
        block_rebinding: profile.block_rebinding,
        block_answer: match &profile.block_answer {
            BlockAnswer::Null => "null".to_owned(),
            BlockAnswer::NxDomain => "nxdomain".to_owned(),
            BlockAnswer::NoData => "nodata".to_owned(),
            BlockAnswer::Refused => "refused".to_owned(),
            BlockAnswer::Addresses(addresses) => {
                let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                texts.join(", ")
            }
        },
        block_ttl: profile.block_ttl,
        when_unsure: match profile.when_unsure {
            WhenUnsure::Allow => "allow",
            WhenUnsure::Block => "block",
        }
        .to_owned(),
        privacy: privacy_word(profile.privacy).to_owned(),
        resolvers: config.upstream.resolvers(profile.resolvers).to_owned(),
        language: profile.speech.language.to_owned(),
        growth: None,
    }
}

/// A privacy setting as it is written.
pub(super) const fn privacy_word(privacy: Privacy) -> &'static str {
    match privacy {
        Privacy::Names => "names",
        Privacy::Categories => "categories",
        Privacy::None => "none",
    }
}
