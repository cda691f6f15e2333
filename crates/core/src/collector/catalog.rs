//! Changes at run time: templates, invalidation, a new configuration.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Collector;
use crate::alert::Alerts;
use crate::question::Question;
use crate::source::{Source, parse_catalog, parse_template};
use crate::timers::Timer;
use crate::{
    CatalogError, Config, ConfigError, Forget, Invalidation, Now, Output, SourceConfig, Template,
    TemplateConfig,
};

impl Collector {
    /// Adds a template to a source's catalog.
    ///
    /// # Errors
    /// An unknown source, a name that is taken, a template that is wrong.
    pub fn register(
        &mut self,
        source: &str,
        template: &TemplateConfig,
    ) -> Result<(), CatalogError> {
        let catalog = self.catalog(source)?;
        if catalog.contains_key(&template.name) {
            return Err(CatalogError::Taken {
                source: source.to_owned(),
                template: template.name.clone(),
            });
        }
        let parsed = parse_template(template).map_err(CatalogError::Template)?;
        catalog.insert(template.name.clone(), parsed);
        Ok(())
    }

    /// What is given out without asking is out of date.
    fn forget_lent(&mut self) {
        self.outputs.push_back(Output::Forget(Forget::All));
    }

    /// Replaces a template of a source's catalog; its answers are forgotten.
    ///
    /// # Errors
    /// An unknown source or template, a template that is wrong; then nothing changes.
    pub fn update(
        &mut self,
        source: &str,
        template: &TemplateConfig,
        now: Now,
    ) -> Result<(), CatalogError> {
        let now = self.clamp(now);
        let parsed = parse_template(template).map_err(CatalogError::Template)?;
        match self.catalog(source)?.get_mut(&template.name) {
            Some(slot) => *slot = parsed,
            None => return Err(CatalogError::unknown_template(source, &template.name)),
        }
        self.forget_lent();
        self.forget_template(source, &template.name, now);
        self.launch_all(now);
        Ok(())
    }

    /// Takes a template out of a source's catalog; its answers are forgotten, its keys no longer
    /// kept warm.
    ///
    /// # Errors
    /// An unknown source or template.
    pub fn unregister(
        &mut self,
        source: &str,
        template: &str,
        now: Now,
    ) -> Result<(), CatalogError> {
        let now = self.clamp(now);
        if self.catalog(source)?.remove(template).is_none() {
            return Err(CatalogError::unknown_template(source, template));
        }
        self.forget_lent();
        self.forget_template(source, template, now);
        self.launch_all(now);
        Ok(())
    }

    /// A template of a source's catalog.
    pub fn template(&self, source: &str, template: &str) -> Option<&Template> {
        let at = *self.by_name.get(source)?;
        self.sources[at].templates.get(template)
    }

    /// Forgets answers and refusals. What is being fetched for them is fetched anew, so that
    /// nobody gets data from before. Says how many answers were forgotten.
    pub fn invalidate(&mut self, what: &Invalidation, now: Now) -> usize {
        let now = self.clamp(now);
        self.forget_lent();
        let forgotten = self.forget(what);
        self.restart_ranges(what, now);
        for id in self.flights.matching(|key| what.covers(key)) {
            self.restart(id, now);
        }
        self.launch_all(now);
        forgotten
    }

    /// Applies a new configuration. What is cached and still valid stays: answers of sources that
    /// remain, to templates that read the same. Health, breakers and Tidegate's own series stay
    /// as they are; the bounds of the series take effect at the next start. Alert rules that read
    /// the same keep their alerts, those of others end. Owners that were
    /// registered since stay beside those of the configuration, which count where both say whose a
    /// workload is.
    ///
    /// # Errors
    /// What is wrong with the configuration; then nothing changes.
    pub fn reload(&mut self, mut config: Config, now: Now) -> Result<(), ConfigError> {
        let now = self.clamp(now);
        config.check()?;
        let catalogs = config.sources.iter_mut().map(parse_catalog);
        let catalogs = catalogs.collect::<Result<Vec<_>, _>>()?;
        let alerts = Alerts::new(config.alerts, now).map_err(ConfigError::Alert)?;
        self.library.reload(config.packs, config.owners)?;
        self.change_alerts(alerts, now);
        self.forget_lent();
        self.limits = config.limits;
        self.local.feed_sinks(config.feeds_sinks);
        self.cleanup_interval = config.cache.cleanup_interval;
        self.cache_bytes_max = config.cache.bytes();
        self.extents.resize(self.cache_bytes_max / 2);
        self.share_room();
        for at in self.by_name.values().copied().collect::<Vec<_>>() {
            let former = &self.sources[at];
            let stays = config
                .sources
                .iter()
                .any(|source| *source.name == *former.name && source.kind == former.settings.kind);
            if !stays {
                self.remove_source(at, now);
            }
        }
        self.order = config
            .sources
            .iter()
            .map(|source| source.name.as_str().into())
            .collect();
        for (settings, catalog) in config.sources.into_iter().zip(catalogs) {
            match self.by_name.get(&*settings.name) {
                Some(&at) => self.change_source(at, settings, catalog, now),
                None => self.add_source(Source::new(settings, catalog), now),
            }
        }
        self.track_as_configured(now);
        self.launch_all(now);
        Ok(())
    }

    fn change_source(
        &mut self,
        at: usize,
        settings: SourceConfig,
        catalog: BTreeMap<String, Template>,
        now: Now,
    ) {
        let name = self.sources[at].name.clone();
        let former = core::mem::replace(&mut self.sources[at].templates, catalog);
        for (template, before) in former {
            let after = self.sources[at].templates.get(&template);
            if after.is_none_or(|after| after.config() != before.config()) {
                self.forget_template(&name, &template, now);
            }
        }
        for target in self.sources[at].settings.targets.clone() {
            if !settings.targets.contains(&target) {
                let key = Question::of_target(&self.sources[at], &target).key;
                self.forget(&Invalidation::Key((*key).into()));
                if let Some((id, _)) = self.tracker.of_key(&key) {
                    self.drop_tracking(id, now);
                }
            }
        }
        self.timers.clear_source(at);
        self.sources[at].configure(settings);
        self.schedule_probe(at, now);
        self.schedule_collecting(at, now);
    }

    /// A source that was dropped leaves its place to the next one that comes.
    pub(super) fn add_source(&mut self, source: Source, now: Now) {
        let free = self.sources.iter().position(|source| source.removed);
        let at = free.unwrap_or(self.sources.len());
        self.by_name.insert(source.name.clone(), at);
        if at == self.sources.len() {
            self.sources.push(source);
        } else {
            self.sources[at] = source;
        }
        self.schedule_probe(at, now);
        self.schedule_collecting(at, now);
    }

    fn schedule_probe(&mut self, at: usize, now: Now) {
        if self.sources[at].is_probed() {
            self.timers.set(now.mono, Timer::Probe(at));
        }
    }

    fn remove_source(&mut self, at: usize, now: Now) {
        let name = self.sources[at].name.clone();
        self.by_name.remove(&name);
        self.end_collecting(at, now);
        for id in self.tracker.matching(|tracked| tracked.source == at) {
            self.drop_tracking(id, now);
        }
        let error = self.unknown_source(&name);
        for id in self.flights.of_source(at) {
            self.ground(id);
            self.conclude(id, Err(error.clone()), now);
        }
        self.timers.clear_source(at);
        self.local.forget(&name);
        self.forget(&Invalidation::Source((*name).into()));
        self.sources[at].removed = true;
    }

    /// Forgets what a template's questions were answered, and stops keeping them warm. Those who
    /// asked before get what they asked for, but it is not kept.
    fn forget_template(&mut self, source: &str, template: &str, now: Now) {
        let what = Invalidation::Template {
            source: source.to_owned(),
            template: template.to_owned(),
        };
        self.forget(&what);
        for id in self
            .tracker
            .matching(|tracked| what.covers(&tracked.question.key))
        {
            self.drop_tracking(id, now);
        }
        for id in self.flights.pieces_in(|table| what.covers(table)) {
            self.flights.disown_piece(id);
        }
        for id in self.flights.matching(|key| what.covers(key)) {
            self.flights.disown(id);
            if self.flights.askers(id) == 0 {
                self.give_up(id, now);
            }
        }
    }

    fn forget(&mut self, what: &Invalidation) -> usize {
        self.refusals.forget(|key| what.covers(key));
        self.extents.forget(|table| what.reaches(table));
        self.share_room();
        match what {
            Invalidation::Key(key) => usize::from(self.cache.remove(key)),
            Invalidation::Prefix(prefix) => self.cache.remove_prefix(prefix),
            Invalidation::Source(source) => self.cache.remove_prefix(&format!("{source}/")),
            Invalidation::Template { source, template } => {
                usize::from(self.cache.remove(&format!("{source}/{template}")))
                    + self.cache.remove_prefix(&format!("{source}/{template}:"))
            }
            Invalidation::All => self.cache.remove_prefix(""),
        }
    }

    fn catalog(&mut self, source: &str) -> Result<&mut BTreeMap<String, Template>, CatalogError> {
        match self.by_name.get(source) {
            Some(&at) => Ok(&mut self.sources[at].templates),
            None => Err(CatalogError::UnknownSource {
                name: source.to_owned(),
            }),
        }
    }
}
