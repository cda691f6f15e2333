//! The parameters of a window: which node, and which functions.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use tidegate_core::{CollectPlan, UnixMillis};

use crate::HttpResponse;
use crate::params::{Params, invalid};

/// The parameter that names a function; given again for each.
pub(crate) const FUNCTION: &str = "function";
/// The parameter that says which processes are a function's.
const PID: &str = "pid";
/// Functions per request, each some queries: more than a node runs at once.
const FUNCTIONS_MAX: usize = 256;

/// Parameters go to all queries; `<parameter>.<function>` to those of one function.
pub(crate) fn plan(params: Params) -> Result<CollectPlan, HttpResponse> {
    let window = CollectPlan::new(instant(&params, "start")?, instant(&params, "end")?);
    let mut plan =
        window.map_err(|error| HttpResponse::error(400, "bad_data", &format!("{error}")))?;
    let names = params.each(FUNCTION);
    if names.len() > FUNCTIONS_MAX {
        let why = format!(
            "{} are given, at most {FUNCTIONS_MAX} are taken",
            names.len()
        );
        return Err(invalid(FUNCTION)(why));
    }
    let mut shared = BTreeMap::new();
    let mut own: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (name, value) in params.values() {
        match name.split_once('.') {
            _ if matches!(&*name, "start" | "end" | FUNCTION) => {}
            None => {
                shared.insert(name, value);
            }
            Some((_, function)) if !names.iter().any(|name| name == function) => {
                let why = format!("no function {function:?} is asked for");
                return Err(invalid(&name)(why));
            }
            Some((param, function)) => {
                let params = own.entry(function.into()).or_default();
                params.insert(param.into(), value);
            }
        }
    }
    if let [first, _, ..] = &names[..]
        && shared.contains_key(PID)
    {
        let why = format!("of several functions, say whose the processes are, as in pid.{first}");
        return Err(invalid(PID)(why));
    }
    for name in names {
        let mut params = shared.clone();
        params.extend(own.remove(&name).unwrap_or_default());
        params.insert(FUNCTION.into(), name);
        plan = plan.function(params);
    }
    Ok(plan.node(shared))
}

fn instant(params: &Params, name: &str) -> Result<UnixMillis, HttpResponse> {
    let why = "it is missing; a window has a start and an end";
    let missing = || invalid(name)(why.into());
    let instant = params.time_or_none(name)?;
    instant.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use tidegate_core::Query;

    use super::*;
    use crate::HttpRequest;
    use crate::route::route;

    fn read(query: &str) -> Result<CollectPlan, String> {
        let request = HttpRequest::get(format!("/v1/collect_all?{query}"));
        let route = route(&request).unwrap();
        let params = Params::of(&route, &request).unwrap();
        plan(params).map_err(|response| String::from_utf8(response.body).unwrap())
    }

    #[test]
    fn a_function_has_parameters_of_its_own_beside_those_of_all() {
        let plan = read(
            "start=10&end=1970-01-01T00:01:10Z&node=n&function=a&function=b&pid.b=7&namespace=x&namespace.a=y",
        )
        .unwrap();
        assert_eq!(plan.duration().as_secs(), 60);
        let params = |ask: &tidegate_core::Ask| match &ask.query {
            Query::Template { name, params } => (name.clone(), params.clone()),
            Query::PromQl(_) | Query::Endpoint { .. } => panic!("a pack asks by template"),
        };
        let asked: Vec<_> = plan.asks().iter().map(params).collect();
        let names: Vec<_> = asked.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "node_cpu",
                "node_ram",
                "node_ram_pct",
                "function_cpu",
                "function_ram",
                "function_cpu",
                "function_ram",
                "function_power"
            ]
        );
        assert_eq!(
            (&*asked[3].1["namespace"], &*asked[5].1["namespace"]),
            ("y", "x")
        );
        assert_eq!((&*asked[7].1["pid"], &*asked[7].1["node"]), ("7", "n"));
        assert!(!asked[0].1.contains_key(FUNCTION));
    }

    #[test]
    fn a_wrong_window_says_what_is_wrong() {
        for (query, why) in [
            ("end=2", r#"invalid parameter \"start\": it is missing"#),
            ("start=1", r#"invalid parameter \"end\": it is missing"#),
            ("start=x&end=2", r#"Invalid time value for 'start'"#),
            ("start=2&end=2", "not after its start"),
            ("start=1&end=2&pid.a=7", r#"no function \"a\" is asked for"#),
            ("start=1&end=2&function=a&function=b&pid=7", "as in pid.a"),
        ] {
            let said = read(query).unwrap_err();
            assert!(said.contains(why), "{query}: {said}");
        }
        let many = "&function=f".repeat(FUNCTIONS_MAX + 1);
        let said = read(&format!("start=1&end=2{many}")).unwrap_err();
        assert!(said.contains("257 are given, at most 256"), "{said}");
    }
}
