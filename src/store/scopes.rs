//! What the scope of a variable may name in this server: found by id or name, and named again for people.

use sqlx::AnyConnection;

use super::{StoreError, key, process, projects::ProjectRow};
use crate::model::{EnvironmentId, MachineId, ProjectId, Scope, ScopeType, SetOwner, Target};

/// How many names a refusal lists at most.
const LISTED: usize = 10;

/// Something that a scope may name.
#[derive(Debug, Clone)]
pub struct ScopeMember {
    /// What it is.
    pub kind: ScopeType,
    /// Its id, by which scopes are stored.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is found by too: an environment's slug, an action's step.
    alias: String,
    /// Where it is, when its name alone may not tell.
    place: Option<String>,
}

/// All that the scopes of a library's variables may name: what all projects of its space have in common.
pub(super) async fn shared_members(
    connection: &mut AnyConnection,
    space: i64,
) -> Result<Vec<ScopeMember>, StoreError> {
    let environments: Vec<(i64, String, String)> =
        sqlx::query_as("select id, name, slug from environments where space_id = $1 order by sort_order, id")
            .bind(space)
            .fetch_all(&mut *connection)
            .await?;
    let machines: Vec<(i64, String, String)> = sqlx::query_as(
        "select m.id, m.name, e.name from machines m join environments e on e.id = m.environment_id \
         where e.space_id = $1 order by m.id",
    )
    .bind(space)
    .fetch_all(&mut *connection)
    .await?;
    let mut all = Vec::new();
    for (id, name, slug) in environments {
        let id = EnvironmentId(id).to_string();
        all.push(ScopeMember { alias: slug, ..member(ScopeType::Environment, id, name) });
    }
    for (id, name, place) in machines {
        let id = MachineId(id).to_string();
        all.push(ScopeMember { place: Some(place), ..member(ScopeType::Machine, id, name) });
    }
    Ok(all)
}

fn member(kind: ScopeType, id: String, name: String) -> ScopeMember {
    ScopeMember { kind, id, alias: name.clone(), name, place: None }
}

/// All that the scopes of a project's variables may name.
pub(super) async fn members(
    connection: &mut AnyConnection,
    project: &ProjectRow,
) -> Result<Vec<ScopeMember>, StoreError> {
    let mut all = shared_members(connection, project.space_id).await?;
    let channels: Vec<(i64, String)> =
        sqlx::query_as("select id, name from channels where project_id = $1 order by id")
            .bind(project.id)
            .fetch_all(&mut *connection)
            .await?;
    for action in process::actions(&project.name, &project.process)? {
        let id = action.id.unwrap_or_else(|| action.name.clone());
        all.push(ScopeMember { alias: action.step, ..member(ScopeType::Action, id, action.name) });
    }
    all.extend(channels.into_iter().map(|(id, name)| member(ScopeType::Channel, channel_id(id), name)));
    let process = ProjectId(project.id).to_string();
    all.push(member(ScopeType::ProcessOwner, process, "Deployment process".to_owned()));
    Ok(all)
}

fn channel_id(id: i64) -> String {
    format!("Channels-{id}")
}

/// The members that are meant by an id, else by a name, else by an alias.
fn named<'m>(members: &'m [ScopeMember], kind: ScopeType, text: &str) -> Vec<&'m ScopeMember> {
    let wanted = key(text);
    let names: [fn(&ScopeMember) -> &str; 3] =
        [|member| &member.id, |member| &member.name, |member| &member.alias];
    let found = names.map(|name| {
        members.iter().filter(|member| member.kind == kind && key(name(member)) == wanted).collect::<Vec<_>>()
    });
    found.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

/// The scope that is meant by ids or names. What `before` holds may stay though it is gone: else nothing could be
/// saved any more without taking it out.
pub(super) fn read(
    owner: SetOwner,
    members: &[ScopeMember],
    wanted: &[(ScopeType, Vec<String>)],
    before: Option<&Scope>,
) -> Result<Scope, StoreError> {
    let mut scope = Scope::default();
    for (kind, texts) in wanted.iter().filter(|(_, texts)| !texts.is_empty()) {
        refuse_type(owner, *kind)?;
        for text in texts {
            let is_kept = || before.is_some_and(|before| before.members(*kind).any(|member| member == text));
            let id = match named(members, *kind, text).as_slice() {
                [one] => one.id.clone(),
                [] if is_kept() => text.clone(),
                [] => return Err(unknown(members, *kind, text)),
                several => return Err(ambiguous(*kind, text, several)),
            };
            scope = scope.with(*kind, [id]);
        }
    }
    Ok(scope)
}

/// What this server has nothing of cannot be in a scope: the value would hold nowhere.
fn refuse_type(owner: SetOwner, kind: ScopeType) -> Result<(), StoreError> {
    let is_shared = matches!(owner, SetOwner::Library(_));
    let why = match kind {
        ScopeType::Role => "the machines of this version of the server have no target tags",
        ScopeType::Tenant | ScopeType::TenantTag => "this version of the server has no tenants",
        ScopeType::Project if is_shared => "these variables hold in every project that includes them",
        ScopeType::Project => "the variables of a project are for this project alone",
        ScopeType::Action if is_shared => "projects share these variables, and each has steps of its own",
        ScopeType::Channel if is_shared => "projects share these variables, and each has channels of its own",
        ScopeType::ProcessOwner if is_shared => {
            "projects share these variables, and each has a process of its own"
        }
        ScopeType::Action
        | ScopeType::Machine
        | ScopeType::Environment
        | ScopeType::Channel
        | ScopeType::ProcessOwner => return Ok(()),
    };
    Err(StoreError::Invalid(format!("`{}` cannot be used: {why}", kind.as_str())))
}

fn unknown(members: &[ScopeMember], kind: ScopeType, text: &str) -> StoreError {
    let there: Vec<String> = members
        .iter()
        .filter(|member| member.kind == kind)
        .map(|member| if kind == ScopeType::ProcessOwner { member.id.clone() } else { member.name.clone() })
        .collect();
    let more = if there.len() > LISTED { " …" } else { "" };
    let known = match there.len() {
        0 => "there are none".to_owned(),
        _ => format!("known are: {}{more}", there[..there.len().min(LISTED)].join(", ")),
    };
    let word = kind.word();
    if kind == ScopeType::ProcessOwner {
        return StoreError::Invalid(format!(
            "{word} `{text}` does not exist: this version of the server has no runbooks; {known}"
        ));
    }
    StoreError::Invalid(format!("{word} `{text}` does not exist; {known}"))
}

fn ambiguous(kind: ScopeType, text: &str, several: &[&ScopeMember]) -> StoreError {
    let each: Vec<String> = several
        .iter()
        .map(|member| match &member.place {
            Some(place) => format!("{} in `{place}`", member.id),
            None => member.id.clone(),
        })
        .collect();
    StoreError::Invalid(format!("{} `{text}` may be {}: give the id", kind.word(), each.join(" or ")))
}

/// The scope in words: each member by its name, one that is gone by its id.
pub(super) fn describe(members: &[ScopeMember], scope: &Scope) -> String {
    scope.describe(|kind, id| {
        let found = members.iter().find(|member| member.kind == kind && member.id == id);
        found.map_or_else(|| id.to_owned(), |member| member.name.clone())
    })
}

/// The scope with its actions by name, as they are in this moment: what a release keeps, since its process is kept
/// beside it, and ids are not in every process.
pub(super) fn with_action_names(members: &[ScopeMember], scope: &Scope) -> Scope {
    with_actions(members, scope, |action| &action.name)
}

/// The scope with its actions by id, as they are shown.
pub(super) fn with_action_ids(members: &[ScopeMember], scope: &Scope) -> Scope {
    with_actions(members, scope, |action| &action.id)
}

fn with_actions(members: &[ScopeMember], scope: &Scope, by: fn(&ScopeMember) -> &String) -> Scope {
    scope.iter().fold(Scope::default(), |copy, (kind, ids)| {
        copy.with(
            kind,
            ids.iter().map(|id| match named(members, kind, id).as_slice() {
                [action] if kind == ScopeType::Action => by(action).clone(),
                _ => id.clone(),
            }),
        )
    })
}

/// What the values of a release are wanted for: the target of a deployment, without the machine that takes it.
pub(super) fn target(project: i64, environment: i64, channel: i64, action: &str) -> Target {
    Target::default()
        .with(ScopeType::ProcessOwner, ProjectId(project).to_string())
        .with(ScopeType::Environment, EnvironmentId(environment).to_string())
        .with(ScopeType::Channel, channel_id(channel))
        .with(ScopeType::Action, action)
}

/// The target on a machine.
pub(super) fn on(target: &Target, machine: i64) -> Target {
    target.clone().with(ScopeType::Machine, MachineId(machine).to_string())
}
