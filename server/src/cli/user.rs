//! `resplice-server user …`.

use super::{
    Connection,
    output::{bold, dim, json, say},
};
use clap::Subcommand;
use resplice_api::{ChangeUser, NewUser, OneTimePassword, Role, User as Account, limits};
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum User {
    /// Make an account; its password, shown once, has to be changed at the first sign-in
    Create {
        /// Its name, which is never given to somebody else
        name: String,
        /// What the person may do: team, engineer, vendor, admin
        #[arg(required = true)]
        roles: Vec<Role>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the accounts
    List {
        #[command(flatten)]
        connection: Connection,
        /// JSON for machines
        #[arg(long)]
        json: bool,
    },
    /// Change what a person may do
    Roles {
        /// The account
        name: String,
        /// All of its roles from now on
        #[arg(required = true)]
        roles: Vec<Role>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Close an account: its sessions end, and tokens made in its name are revoked
    Disable {
        /// The account
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Open an account again
    Enable {
        /// The account
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Give an account a new one-time password
    ResetPassword {
        /// The account
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Let nobody sign in to an account by way of an identity provider; its sessions end
    Unlink {
        /// The account
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
}

impl User {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create {
                name,
                roles,
                connection,
            } => {
                let client = connection.client()?;
                show(&client.create_user(&NewUser { name, roles }).await?);
            }
            Self::List {
                connection,
                json: as_json,
            } => list(&connection, as_json).await?,
            Self::Roles {
                name,
                roles,
                connection,
            } => {
                let change = ChangeUser {
                    roles: Some(roles),
                    disabled: None,
                };
                change_user(&connection, &name, &change).await?;
            }
            Self::Disable { name, connection } => disable(&connection, &name, true).await?,
            Self::Enable { name, connection } => disable(&connection, &name, false).await?,
            Self::ResetPassword { name, connection } => {
                show(&connection.client()?.reset_password(&name).await?);
            }
            Self::Unlink { name, connection } => {
                line(&connection.client()?.unlink_identities(&name).await?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(made: &OneTimePassword) {
    say!("{}", made.password.secret());
}

async fn disable(connection: &Connection, name: &str, disabled: bool) -> anyhow::Result<()> {
    let change = ChangeUser {
        roles: None,
        disabled: Some(disabled),
    };
    change_user(connection, name, &change).await
}

async fn change_user(
    connection: &Connection,
    name: &str,
    change: &ChangeUser,
) -> anyhow::Result<()> {
    line(&connection.client()?.change_user(name, change).await?);
    Ok(())
}

async fn list(connection: &Connection, as_json: bool) -> anyhow::Result<()> {
    let client = connection.client()?;
    let mut users: Vec<Account> = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = client.users(limits::MAX_PAGE, next.as_deref()).await?;
        users.extend(page.users);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    if as_json {
        return json(&users);
    }
    users.iter().for_each(line);
    Ok(())
}

fn line(user: &Account) {
    let roles: Vec<_> = user.roles.iter().map(|role| role.as_str()).collect();
    let state = match (user.disabled_at, user.last_sign_in_at) {
        (Some(at), _) => format!("closed {at:.0}"),
        (None, Some(at)) => format!("signed in {at:.0}"),
        (None, None) => "never signed in".to_owned(),
    };
    say!("{}  {}  {}", bold(&user.name), roles.join(","), dim(state));
    for identity in &user.identities {
        let who = format!("as {} of {}", identity.subject, identity.issuer);
        say!(
            "    {}",
            dim(format!("{who}, since {:.0}", identity.linked_at))
        );
    }
}
