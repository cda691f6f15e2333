//! Templates, memory and whole configurations, changed while the client is in use.

use tidegate_client::ClientError;
use tidegate_client::native::{
    BuildError, ChangeError, Invalidation, Params, Provenance, QueryError, SourceConfig,
    TemplateConfig, Tidegate, UpdateError, packs,
};
use tidegate_core::{Ask, CatalogError, ConfigError};

use crate::server::{Server, vector};

fn template(text: &str) -> TemplateConfig {
    TemplateConfig {
        name: "kv".into(),
        text: text.into(),
        ..TemplateConfig::default()
    }
}

fn client(server: &Server) -> Tidegate {
    let builder = Tidegate::builder().source("prom", server.url.clone());
    builder.build().unwrap()
}

async fn collected(client: &Tidegate) -> Provenance {
    let answer = client.collect("kv", Params::new()).await;
    answer.expect("an answer").provenance
}

#[tokio::test]
async fn templates_come_change_and_go() {
    let server = Server::of(|_| vector(&[("", 1.0)]));
    let client = client(&server);
    client.register("prom", template("first")).await.unwrap();
    assert_eq!(collected(&client).await, Provenance::Miss);
    assert_eq!(collected(&client).await, Provenance::Hit);
    let taken = client.register("prom", template("second")).await;
    assert!(matches!(
        taken,
        Err(UpdateError::Refused(ChangeError::Catalog(
            CatalogError::Taken { .. }
        )))
    ));
    client.update("prom", template("second")).await.unwrap();
    assert_eq!(collected(&client).await, Provenance::Miss);
    assert_eq!(server.asked("second"), 1);
    client.unregister("prom", "kv").await.unwrap();
    assert!(matches!(
        client.collect("kv", Params::new()).await,
        Err(ClientError::Query(QueryError::UnknownTemplate { .. }))
    ));
    let error = client.unregister("nobody", "kv").await.unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[tokio::test]
async fn answers_are_forgotten_and_keys_left_alone_on_request() {
    let server = Server::of(|_| vector(&[("", 1.0)]));
    let client = client(&server);
    client.register("prom", template("kv")).await.unwrap();
    let answer = client.collect("kv", Params::new()).await.unwrap();
    assert!(client.untrack(&*answer.key).await.unwrap());
    assert!(!client.untrack(&*answer.key).await.unwrap());
    let none = Invalidation::Prefix("prom/other".into());
    assert_eq!(client.invalidate(none).await, Ok(0));
    let kv = Invalidation::Prefix("prom/k".into());
    assert_eq!(client.invalidate(kv).await, Ok(1));
    assert_eq!(collected(&client).await, Provenance::Miss);
}

#[tokio::test]
async fn a_reload_keeps_what_is_still_valid_and_asks_a_source_that_moved_anew() {
    let (stays, former, new) = (
        Server::of(|_| vector(&[("", 1.0)])),
        Server::of(|_| vector(&[("", 2.0)])),
        Server::of(|_| vector(&[("", 3.0)])),
    );
    let client = Tidegate::builder()
        .source("stays", stays.url.clone())
        .source("moves", former.url.clone())
        .build()
        .unwrap();
    let ask = |source: &str| client.query(Ask::promql("up").of(source));
    ask("stays").await.unwrap();
    ask("moves").await.unwrap();
    let wanted = Tidegate::builder()
        .source("stays", stays.url.clone())
        .source("moves", new.url.clone())
        .source("joins", new.url.clone())
        .pack(packs::node())
        .owner("llama", "autoscaler");
    client.reload(wanted).await.unwrap();
    assert_eq!(ask("stays").await.unwrap().provenance, Provenance::Hit);
    assert_eq!(ask("moves").await.unwrap().provenance, Provenance::Miss);
    assert_eq!(ask("joins").await.unwrap().provenance, Provenance::Miss);
    assert_eq!((former.asked("query="), new.asked("query=")), (1, 2));
    assert_eq!(client.owner_of("llama-1").as_deref(), Some("autoscaler"));
    assert!(!client.templates("joins").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing() {
    let server = Server::of(|_| vector(&[("", 1.0)]));
    let client = client(&server);
    client.register("prom", template("kv")).await.unwrap();
    collected(&client).await;
    let url = "http://127.0.0.1:1";
    let twice = Tidegate::builder().source("a", url).source("a", url);
    assert!(matches!(
        client.reload(twice).await,
        Err(UpdateError::Build(BuildError::Config(
            ConfigError::DuplicateSource { .. }
        )))
    ));
    let wrong = SourceConfig {
        templates: vec![template("{{.}}")],
        ..SourceConfig::prometheus("prom")
    };
    let wrong = Tidegate::builder().source_with(wrong, url);
    assert!(matches!(
        client.reload(wrong).await,
        Err(UpdateError::Build(BuildError::Config(
            ConfigError::Template { .. }
        )))
    ));
    assert_eq!(collected(&client).await, Provenance::Hit);
}

#[tokio::test]
async fn closed_it_changes_nothing_any_more() {
    let client = client(&Server::of(|_| None));
    client.close();
    let error = client.register("prom", template("kv")).await.unwrap_err();
    assert_eq!(error, UpdateError::Closed);
    assert!(client.invalidate(Invalidation::All).await.is_err());
    let reloaded = client.reload(Tidegate::builder()).await;
    assert_eq!(reloaded.unwrap_err(), UpdateError::Closed);
}
