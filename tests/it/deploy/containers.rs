//! Image, compose file and the example for Kubernetes: what they say of the program is true of it.

use std::collections::BTreeSet;
use std::fs;

use clap::ValueEnum as _;
use colloquy::services::Role;
use serde_json::Value;

use super::{repository, run, words, yaml};

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Every kind of part, from arguments as containers and units give them.
fn roles(arguments: &[Value]) -> Vec<Role> {
    let words: Vec<_> = arguments.iter().map(|word| word.as_str().unwrap()).collect();
    let at = words.iter().position(|word| *word == "--role").unwrap();
    assert!(words.contains(&"run"));
    words[at + 1].split(',').map(|word| Role::from_str(word, false).unwrap()).collect()
}

fn workloads(objects: &[Value]) -> Vec<&Value> {
    objects.iter().filter(|object| ["StatefulSet", "Deployment"].contains(&object["kind"].as_str().unwrap())).collect()
}

#[test]
fn every_part_of_the_service_runs_in_the_cluster_and_is_asked_for_its_health() {
    let objects = yaml("deploy/kubernetes.yaml");
    let mut all = BTreeSet::new();
    for workload in workloads(&objects) {
        let name = &workload["metadata"]["name"];
        let pod = &workload["spec"]["template"]["spec"];
        let [container] = list(&pod["containers"]) else { panic!("{name} has one container") };
        let roles = roles(list(&container["args"]));
        assert!(roles.contains(&Role::Console), "{name}: the probes ask the console");
        all.extend(roles.iter().map(|role| format!("{role:?}")));
        let ports: Vec<_> = list(&container["ports"]).iter().map(|port| &port["name"]).collect();
        for (probe, paths) in [
            ("startupProbe", ["/healthz", "/healthz"]),
            ("livenessProbe", ["/healthz", "/healthz"]),
            ("readinessProbe", ["/readyz", "/healthz"]),
        ] {
            let get = &container[probe]["httpGet"];
            assert!(paths.contains(&get["path"].as_str().unwrap()), "{name}: {probe}");
            assert!(ports.contains(&&get["port"]), "{name}: {probe}");
        }
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace >= 660 || !roles.contains(&Role::Sender), "{name}: a relay may take ten minutes to answer");
        if roles.contains(&Role::Tracker) {
            assert_eq!(workload["kind"], "StatefulSet", "a spool needs a disk of its own");
        }
    }
    assert_eq!(all.len(), Role::ALL.len(), "{all:?}");
}

#[test]
fn containers_of_the_cluster_have_no_rights_and_mount_what_there_is() {
    let objects = yaml("deploy/kubernetes.yaml");
    for workload in workloads(&objects) {
        let name = &workload["metadata"]["name"];
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        let mut volumes: Vec<_> = list(&pod["volumes"]).iter().map(|volume| &volume["name"]).collect();
        volumes.extend(list(&workload["spec"]["volumeClaimTemplates"]).iter().map(|claim| &claim["metadata"]["name"]));
        for container in list(&pod["initContainers"]).iter().chain(list(&pod["containers"])) {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
            for mount in list(&container["volumeMounts"]) {
                assert!(volumes.contains(&&mount["name"]), "{name} mounts {mount}");
            }
        }
    }
}

#[test]
fn services_and_disruption_budgets_of_the_cluster_find_their_pods() {
    let objects = yaml("deploy/kubernetes.yaml");
    let templates: Vec<_> = workloads(&objects).into_iter().map(|workload| &workload["spec"]["template"]).collect();
    let find = |selector: &Value| {
        let found = templates.iter().find(|template| template["metadata"]["labels"] == *selector);
        *found.unwrap_or_else(|| panic!("no pod has {selector}"))
    };
    for workload in workloads(&objects) {
        find(&workload["spec"]["selector"]["matchLabels"]);
    }
    let mut budgets = 0;
    for object in &objects {
        assert_eq!(object["metadata"]["namespace"], "colloquy", "{}", object["metadata"]["name"]);
        match object["kind"].as_str().unwrap() {
            "Service" => {
                let template = find(&object["spec"]["selector"]);
                let ports = list(&template["spec"]["containers"][0]["ports"]);
                let target = &object["spec"]["ports"][0]["targetPort"];
                assert!(ports.iter().any(|port| port["name"] == *target));
            }
            "PodDisruptionBudget" => {
                find(&object["spec"]["selector"]["matchLabels"]);
                let spec = object["spec"].as_object().unwrap();
                assert!(spec.contains_key("minAvailable") != spec.contains_key("maxUnavailable"));
                budgets += 1;
            }
            _ => {}
        }
    }
    assert_eq!(budgets, templates.len());
}

#[test]
fn the_program_takes_the_configuration_of_the_cluster() {
    let objects = yaml("deploy/kubernetes.yaml");
    let map = objects.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("config")).unwrap();
    let text = map["data"]["colloquy.toml"].as_str().unwrap();
    fs::write(dir.path().join("config/colloquy.toml"), text).unwrap();
    let check = || run(env!("CARGO_BIN_EXE_colloquy"), &["-C", dir.path().to_str().unwrap(), "check"]);
    let output = check();
    assert!(output.status.success() && words(&output).contains("0 errors, 0 warnings"), "{}", words(&output));
    for listen in
        ["[web]\nbase_url = \"https://t.alpenlauf.example\"\nlisten = \"0.0.0.0:8080\"", "listen = \"0.0.0.0:8081\""]
    {
        assert!(text.contains(listen), "a container's loopback is nobody else's");
    }
    fs::write(dir.path().join("config/colloquy.toml"), text.replace("[relay", "[rely")).unwrap();
    assert!(!check().status.success(), "a wrong file passes too");
}

#[test]
fn the_compose_file_starts_the_program_without_rights_after_its_database() {
    let [file] = yaml("deploy/compose.yaml").try_into().unwrap();
    let service = &file["services"]["colloquy"];
    let build = &service["build"];
    let context = repository("deploy").join(build["context"].as_str().unwrap());
    assert!(context.join(build["dockerfile"].as_str().unwrap()).exists());
    let arguments: Vec<_> = list(&service["command"]).iter().map(|word| word.as_str().unwrap()).collect();
    let help = run(env!("CARGO_BIN_EXE_colloquy"), &[&arguments[..], &["--help"]].concat());
    assert!(help.status.success() && words(&help).contains("Run the service"), "{}", words(&help));
    assert_eq!((&service["user"], &service["read_only"]), (&"65532:65532".into(), &true.into()));
    assert_eq!((&service["cap_drop"][0], &service["stop_grace_period"]), (&"ALL".into(), &"12m".into()));
    for (name, condition) in service["depends_on"].as_object().unwrap() {
        assert_eq!(condition["condition"], "service_healthy");
        assert!(file["services"][name]["healthcheck"]["test"].is_array(), "{name}");
    }
    for port in list(&service["ports"]) {
        assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "the console knows no passwords");
    }
    for (name, service) in file["services"].as_object().unwrap() {
        for mount in list(&service["volumes"]) {
            let from = mount.as_str().unwrap().split(':').next().unwrap();
            assert!(
                from.starts_with("./") || file["volumes"].as_object().unwrap().contains_key(from),
                "{name}: {from}"
            );
        }
    }
}

#[test]
fn the_image_is_built_from_what_there_is_and_runs_the_program_without_root() {
    let text = fs::read_to_string(repository("deploy/Dockerfile")).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let stages: Vec<_> = lines.iter().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(stages.len(), 2);
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap().trim_end_matches('"');
    assert!(stages[0].contains(&format!("rust:{version}-")), "{}", stages[0]);
    let last = lines.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    let runs = |words: &str| lines[last..].iter().any(|line| line.starts_with(words));
    assert!(runs("USER 65532") && !runs("RUN") && !runs("ADD"), "{text}");
    let entry = lines.iter().find_map(|line| line.strip_prefix("ENTRYPOINT ")).unwrap();
    let entry: Vec<String> = serde_json::from_str(entry).unwrap();
    assert!(text.contains(&format!(" {}\n", entry[0])), "the entry point is what was copied");
    let ignored = fs::read_to_string(repository("deploy/Dockerfile.dockerignore")).unwrap();
    let kept: Vec<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for path in &kept {
        assert!(repository(path).exists(), "{path}");
    }
    for needed in ["Cargo.toml", "Cargo.lock", "src", "migrations"] {
        assert!(kept.contains(&needed), "{needed}");
    }
}
