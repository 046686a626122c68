//! `[notify.*]`: where alerts go.

use super::problem::Findings;
use super::{Slack, Webhook, file, secret};
use crate::project::Project;

/// `[notify.slack]`
pub(crate) fn slack(slack: &file::Slack, project: &Project, findings: &mut Findings) -> Option<Slack> {
    if let Some(channel) = &slack.channel
        && !channel.get_ref().starts_with(['#', '@'])
    {
        findings.refuse(
            Some(channel.span()),
            format!("`{}` is not a Slack channel", channel.get_ref()),
            "write \"#channel\" or \"@person\"",
        );
    }
    let secret = secret::url(&slack.webhook_url_file, project.root(), findings)?;
    Some(Slack {
        url_file: secret.path,
        channel: slack.channel.as_ref().map(|channel| channel.get_ref().clone()),
    })
}

/// `[notify.webhook]`
pub(crate) fn webhook(
    webhook: &file::Webhook,
    project: &Project,
    findings: &mut Findings,
) -> Option<Webhook> {
    secret::url(&webhook.url_file, project.root(), findings).map(|secret| Webhook { url: secret.url })
}
