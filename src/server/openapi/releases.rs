//! Releases, and how far they have come.

use super::{
    operation::{IDS, Operation, delete, get, post},
    shape::{
        Schema,
        Shape::{A, Any, Empty, Flag, Id, Like, List, Map, Maybe, Null, Object, OneOf, Text, Time, Whole},
        answered, taken,
    },
};

pub(super) const OPERATIONS: &[Operation] = &[
    get("/api/releases", "List the releases, the newest first.").query(&[IDS]).answers_page("Release"),
    post("/api/releases", "Make a release of packages that the client has chosen.")
        .query(&[&[("ignoreChannelRules", Flag, "Whether the rules of the channel do not count.")]])
        .takes("NewRelease")
        .makes("Release"),
    post(
        "/api/releases/create/v1",
        "Make a release; packages, version and channel are found where none are named.",
    )
    .takes("CreateRelease")
    .makes("CreatedRelease"),
    get("/api/releases/{id}", "Show a release.").answers("Release"),
    delete("/api/releases/{id}", "Delete a release without deployments.").answers("Release"),
    post("/api/releases/{id}/snapshot-variables", "Copy the variables into the release again.")
        .answers("Release"),
    get("/api/releases/{id}/progression", "Show how far a release has come in its lifecycle.")
        .answers("Progression"),
    get("/api/releases/{id}/missingpackages", "The packages of a release whose bytes are gone.")
        .answers_value(Object(&[("Packages", List(&Object(&[("Id", Text), ("Version", Text)])))])),
    get("/api/releases/{id}/deployments/template", "Show where a release may be deployed to now.")
        .answers("DeploymentTemplate"),
    get("/api/releases/{id}/deployments/preview/{environment}", "Show what a deployment would do.")
        .answers("DeploymentPreview"),
    post("/api/releases/{id}/deployments/previews", "Show what deployments would do.")
        .takes("NewPreviews")
        .answers_list("DeploymentPreview"),
    get("/api/projects/{id}/releases", "List the releases of a project, the newest first.")
        .query(&[&[("searchByVersion", Text, "Only versions with this in them.")]])
        .answers_page("Release"),
    get("/api/projects/{id}/releases/{version}", "Show a release of a project.").answers("Release"),
    get("/api/projects/{id}/channels/{channel}/releases", "List the releases of a channel.")
        .answers_page("Release"),
    get("/api/projects/{id}/progression", "Show the newest releases of a project, and what became of them.")
        .query(&[&[("releaseHistoryCount", Whole, "How many releases; at most 30.")]])
        .answers("ProjectProgression"),
];

pub(super) const SCHEMAS: &[Schema] = &[
    answered(
        "Release",
        "A version of a project with pinned packages and a copy of its variables.",
        &[
            ("Id", Id("Releases")),
            ("Version", Text),
            ("ProjectId", Id("Projects")),
            ("ChannelId", Id("Channels")),
            ("SpaceId", Id("Spaces")),
            ("ReleaseNotes", Maybe(&Text)),
            ("Assembled", Time),
            (
                "SelectedPackages",
                List(&Object(&[
                    ("ActionName", Text),
                    ("StepName", Text),
                    ("PackageReferenceName", Text),
                    ("PackageId", Text),
                    ("Version", Text),
                    ("Hash", Text),
                ])),
            ),
            ("ProjectVariableSetSnapshotId", Text),
            ("ProjectDeploymentProcessSnapshotId", Text),
            ("LibraryVariableSetSnapshotIds", List(&Text)),
            ("BuildInformation", List(&A("BuildInformation"))),
            ("CustomFields", Map(&Text)),
            ("IgnoreChannelRules", Flag),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewRelease",
        "The release to make of packages that the client has chosen.",
        &[("ProjectId", Like("Projects-1"))],
        &[
            ("Version", Like("1.1.0")),
            ("ChannelId", Like("Channels-1")),
            ("ReleaseNotes", Text),
            ("IgnoreChannelRules", Flag),
            ("SelectedPackages", List(&A("SelectedPackage"))),
        ],
    ),
    taken(
        "SelectedPackage",
        "The version of an action's package; either name will do.",
        &[],
        &[("ActionName", Text), ("StepName", Text), ("Version", Like("1.0.0"))],
    ),
    taken(
        "CreateRelease",
        "The release to make. Packages are written `PackageIdOrStep:version` or `*:version`.",
        &[("ProjectName", Like("Orders"))],
        &[
            ("ReleaseVersion", Like("1.2.0")),
            ("PackageVersion", Like("1.0.0")),
            ("PackagePrerelease", Like("beta")),
            ("Packages", List(&Like("*:1.0.0"))),
            ("ReleaseNotes", Text),
            ("ChannelName", Like("Default")),
            ("IgnoreChannelRules", Flag),
            ("IgnoreIfAlreadyExists", Flag),
        ],
    ),
    answered(
        "CreatedRelease",
        "The release that was made, or was there already where that was allowed.",
        &[("ReleaseId", Id("Releases")), ("ReleaseVersion", Text), ("Existed", Flag)],
    ),
    answered(
        "Progression",
        "How far a release has come in its lifecycle.",
        &[
            ("Phases", List(&A("PhaseProgression"))),
            ("NextDeployments", List(&Id("Environments"))),
            ("NextDeploymentsMinimumRequired", Whole),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "PhaseProgression",
        "A phase, and what became of a release in it.",
        &[
            ("Id", Text),
            ("Name", Text),
            ("AutomaticDeploymentTargets", List(&Id("Environments"))),
            ("OptionalDeploymentTargets", List(&Id("Environments"))),
            ("MinimumEnvironmentsBeforePromotion", Whole),
            ("IsOptionalPhase", Flag),
            ("Progress", OneOf(&["Complete", "Current", "Pending"])),
            ("Blocked", Flag),
            ("Deployments", List(&Object(&[("Task", A("Task")), ("Deployment", A("Deployment"))]))),
        ],
    ),
    answered(
        "ProjectProgression",
        "The newest releases of a project, and what became of them by environment.",
        &[
            ("Environments", List(&A("Reference"))),
            ("ChannelEnvironments", Map(&List(&A("Reference")))),
            (
                "Releases",
                List(&Object(&[
                    ("Release", A("Release")),
                    ("Channel", Maybe(&A("Channel"))),
                    ("Deployments", Map(&List(&A("DashboardItem")))),
                    ("NextDeployments", List(&Id("Environments"))),
                ])),
            ),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "DeploymentTemplate",
        "Where a release may be deployed to now, and what has changed since it was made.",
        &[
            (
                "PromoteTo",
                List(&Object(&[("Id", Id("Environments")), ("Name", Text), ("Links", Map(&Text))])),
            ),
            ("TenantPromotions", Empty),
            ("DeploymentNotes", Null),
            ("IsDeploymentProcessModified", Flag),
            ("IsVariableSetModified", Flag),
            ("IsLibraryVariableSetModified", Flag),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "DeploymentPreview",
        "What a deployment to one environment would do.",
        &[
            (
                "StepsToExecute",
                List(&Object(&[
                    ("ActionId", Text),
                    ("ActionName", Text),
                    ("ActionNumber", Text),
                    ("Roles", Empty),
                    ("Machines", List(&A("Reference"))),
                    ("MachineNames", List(&Text)),
                    ("ExcludedMachines", Empty),
                    ("UnavailableMachines", Empty),
                    ("CanBeSkipped", Flag),
                    ("IsDisabled", Flag),
                    ("HasNoApplicableMachines", Flag),
                ])),
            ),
            ("UseGuidedFailureModeByDefault", Flag),
            ("Changes", Empty),
            ("Form", Object(&[("Values", Map(&Text)), ("Elements", List(&A("FormElement")))])),
            ("EnvironmentId", Id("Environments")),
            ("ReleaseId", Id("Releases")),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "FormElement",
        "A value that is asked for.",
        &[
            ("Name", Text),
            ("IsValueRequired", Flag),
            (
                "Control",
                Object(&[
                    ("Type", Text),
                    ("Name", Text),
                    ("Label", Maybe(&Text)),
                    ("Description", Maybe(&Text)),
                    ("IsSecure", Flag),
                    ("DisplaySettings", Any),
                ]),
            ),
        ],
    ),
    taken(
        "NewPreviews",
        "The environments to look at.",
        &[("DeploymentPreviews", List(&A("NewPreview")))],
        &[],
    ),
    taken("NewPreview", "An environment to look at.", &[("EnvironmentId", Like("Environments-1"))], &[]),
];
