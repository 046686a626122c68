//! What only the whole document can tell: names that nothing defines, ports that collide, circles.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::model::{Port, Project};
use crate::read::context::{Context, Place, Reference, Section};
use crate::read::nearest;
use crate::yaml::Node;

/// Notes what is wrong with `project` as a whole, which was read from `root`.
pub(crate) fn check(project: &Project, root: &Node, context: &Context<'_>) {
    let references = context.references.take();
    for reference in &references {
        defined(root, reference, context);
    }
    published(&context.published.take(), context);
    circles(project, &references, context);
}

/// Notes a name that nothing defines.
fn defined(root: &Node, Reference { to, name, place }: &Reference, context: &Context<'_>) {
    let (word, section) = match to {
        Section::Services => ("service", "services"),
        Section::Networks => ("network", "networks"),
        Section::Volumes => ("volume", "volumes"),
        Section::Secrets => ("secret", "secrets"),
    };
    let section = root.entries().iter().find(|entry| entry.key == section);
    let mut names: Vec<_> = section
        .map_or(&[][..], |section| section.value.entries())
        .iter()
        .map(|entry| &*entry.key)
        .collect();
    if *to == Section::Networks {
        names.push("default");
    }
    if !names.contains(&name.as_str()) {
        let hint =
            nearest(name, names.iter()).map_or(String::new(), |meant| format!("; did you mean {meant}?"));
        context.refuse(place, format!("there is no {word} `{name}` in this file{hint}"));
    }
}

/// Notes ports that cannot be published together.
fn published(ports: &[(Port, Place)], context: &Context<'_>) {
    for (index, (port, place)) in ports.iter().enumerate() {
        let Some((_, other)) = ports[..index].iter().find(|(other, _)| collide(port, other)) else {
            continue;
        };
        let number = port.published.unwrap_or_default();
        context.refuse(
            place,
            format!(
                "port {number} is published already, on line {} ({})",
                other.line, other.path
            ),
        );
    }
}

fn collide(one: &Port, other: &Port) -> bool {
    one.published.is_some()
        && one.published == other.published
        && one.protocol == other.protocol
        && match (one.host_ip, other.host_ip) {
            (Some(one), Some(other)) => one == other || covers(one, other) || covers(other, one),
            _ => true,
        }
}

/// Whether `any` is the address that stands for all of `one`'s family.
fn covers(any: IpAddr, one: IpAddr) -> bool {
    any.is_unspecified() && any.is_ipv4() == one.is_ipv4()
}

/// Notes services that wait for themselves.
fn circles(project: &Project, references: &[Reference], context: &Context<'_>) {
    let mut done = BTreeSet::new();
    for name in project.services.keys() {
        let mut way = Vec::new();
        let Some(circle) = circle(project, name, &mut way, &mut done) else {
            continue;
        };
        let path = format!("services.{}.depends_on", circle[0]);
        let place = references
            .iter()
            .map(|reference| &reference.place)
            .find(|place| place.path.starts_with(&path));
        let place = Place {
            line: place.map_or(1, |place| place.line),
            path,
        };
        context.refuse(
            &place,
            format!(
                "services wait for each other in a circle: {}",
                circle.join(" -> ")
            ),
        );
    }
}

/// The circle that is reached from `name` on the `way` so far, whose first service is also its last.
fn circle<'a>(
    project: &'a Project,
    name: &'a str,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    if let Some(start) = way.iter().position(|earlier| *earlier == name) {
        return Some(way[start..].iter().copied().chain([name]).collect());
    }
    if !done.insert(name) {
        return None;
    }
    way.push(name);
    let dependencies = project
        .services
        .get(name)
        .into_iter()
        .flat_map(|service| service.depends_on.keys());
    let found = dependencies
        .into_iter()
        .find_map(|dependency| circle(project, dependency, way, done));
    way.pop();
    found
}
