//! `skyline alert`: who is told, how, and whether it arrives.

mod test;

use super::Config;
use clap::Subcommand;

/// What is done about alerts.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Send a marked test with a picture through a channel, and print what each recipient's server says
    Test {
        #[command(flatten)]
        options: test::Options,
        #[command(flatten)]
        config: Config,
    },
}

/// Does it; whether all went well.
pub(super) async fn act(action: &Action) -> anyhow::Result<bool> {
    match action {
        Action::Test { options, config } => test::test(config, options).await,
    }
}
