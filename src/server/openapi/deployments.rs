//! Deployments and the tasks that run them.

use super::{
    operation::{IDS, Operation, get, post},
    shape::{
        Schema,
        Shape::{self, A, Empty, Flag, Id, Like, List, Map, Maybe, Null, Object, OneOf, Text, Time, Whole},
        answered, taken,
    },
};

const STATE: Shape =
    OneOf(&["Queued", "Executing", "Cancelling", "Success", "Failed", "Canceled", "TimedOut"]);

pub(super) const OPERATIONS: &[Operation] = &[
    get("/api/deployments", "List the deployments, the newest first.")
        .query(&[
            IDS,
            &[
                ("projects", List(&Text), "Only of these projects."),
                ("environments", List(&Text), "Only to these environments."),
                ("taskState", List(&STATE), "Only those whose tasks are in these states."),
            ],
        ])
        .answers_page("Deployment"),
    post("/api/deployments", "Deploy a release to an environment.")
        .takes("NewDeployment")
        .makes("Deployment"),
    post(
        "/api/deployments/create/untenanted/v1",
        "Deploy a release to environments: to all of them or to none.",
    )
    .takes("CreateDeployments")
    .makes("CreatedDeployments"),
    post("/api/environments/{id}/deploy-current", "Deploy once more what last ended well in an environment.")
        .takes("Current")
        .answers("DeployedCurrent"),
    post("/api/deployments/create/tenanted/v1", "Never done: this server has no tenants.").never(),
    get("/api/deployments/{id}", "Show a deployment.").answers("Deployment"),
    post("/api/deployments/{id}/resolve", "Say what an unknown end was; its environment is free again.")
        .takes("Resolution")
        .answers("Deployment"),
    get("/api/tasks", "List the tasks, the newest first.")
        .query(&[
            IDS,
            &[
                ("states", List(&STATE), "Only in these states."),
                ("project", List(&Text), "Only of these projects."),
                ("environment", List(&Text), "Only to these environments."),
                ("active", Flag, "Only those that have not ended, or that have."),
                ("running", Flag, "Also those that run."),
                ("name", Text, "Only tasks of this name: `Deploy`."),
            ],
        ])
        .answers_page("Task"),
    get("/api/tasks/{id}", "Show a task.").answers("Task"),
    get("/api/tasks/{id}/details", "Show a task with its log.").answers("TaskDetails"),
    get("/api/tasks/{id}/raw", "The whole log as text.").answers_bytes("text/plain"),
    get(
        "/api/tasks/{id}/log",
        "The log from a byte on, as lines of JSON; waits for more while the task runs.",
    )
    .query(&[&[
        ("from", Whole, "The first byte that is wanted."),
        ("wait", Whole, "How long to wait for it, in milliseconds; at most 30,000."),
    ]])
    .headers(&[
        ("octarm-log-length", "How many bytes the log has."),
        ("octarm-task-state", "The state of the task."),
    ])
    .answers_bytes("application/x-ndjson"),
    post("/api/tasks/{id}/cancel", "Ask that a task ends.").answers("Task"),
    get("/api/tasks/{id}/queued-behind", "List what a task waits for, the nearest first.")
        .answers_page("Task"),
];

pub(super) const SCHEMAS: &[Schema] = &[
    answered(
        "DashboardItem",
        "A deployment and its task in short.",
        &[
            ("Id", Id("Deployments")),
            ("DeploymentId", Id("Deployments")),
            ("TaskId", Id("ServerTasks")),
            ("ProjectId", Id("Projects")),
            ("EnvironmentId", Id("Environments")),
            ("ReleaseId", Id("Releases")),
            ("ChannelId", Id("Channels")),
            ("TenantId", Null),
            ("ReleaseVersion", Text),
            ("Created", Time),
            ("QueueTime", Time),
            ("StartTime", Maybe(&Time)),
            ("CompletedTime", Maybe(&Time)),
            ("State", STATE),
            ("IsCompleted", Flag),
            ("HasPendingInterruptions", Flag),
            ("HasWarningsOrErrors", Flag),
            ("ErrorMessage", Maybe(&Text)),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "Deployment",
        "One release to one environment. `IsBlocking` while nobody knows how it ended.",
        &[
            ("Id", Id("Deployments")),
            ("ReleaseId", Id("Releases")),
            ("EnvironmentId", Id("Environments")),
            ("ProjectId", Id("Projects")),
            ("ChannelId", Id("Channels")),
            ("TaskId", Id("ServerTasks")),
            ("ManifestVariableSetId", Text),
            ("DeploymentProcessId", Text),
            ("Name", Text),
            ("Created", Time),
            ("Comments", Text),
            ("DeployedBy", Maybe(&Text)),
            ("FormValues", Map(&Text)),
            ("SkipActions", Empty),
            ("SpecificMachineIds", Empty),
            ("ExcludedMachineIds", Empty),
            ("UseGuidedFailure", Flag),
            ("ForcePackageDownload", Flag),
            ("TenantId", Null),
            ("SpaceId", Id("Spaces")),
            ("IsBlocking", Flag),
            ("ResolvedAs", Maybe(&Text)),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewDeployment",
        "The deployment to make. Values that are asked for go by the id of the variable.",
        &[("ReleaseId", Like("Releases-1")), ("EnvironmentId", Like("Environments-1"))],
        &[("Comments", Text), ("FormValues", Map(&Text))],
    ),
    taken(
        "CreateDeployments",
        "The deployments to make. Values that are asked for go by the name of the variable.",
        &[
            ("ProjectName", Like("Orders")),
            ("ReleaseVersion", Like("1.0.0")),
            ("EnvironmentNames", Shape::Some(&Like("Dev"))),
        ],
        &[("Comments", Text), ("UpdateVariableSnapshot", Flag), ("Variables", Map(&Text))],
    ),
    answered(
        "CreatedDeployments",
        "The deployments that were made, one for each environment.",
        &[(
            "DeploymentServerTasks",
            List(&Object(&[("DeploymentId", Id("Deployments")), ("ServerTaskId", Id("ServerTasks"))])),
        )],
    ),
    taken(
        "Current",
        "Whose current releases; all projects' that were deployed there where none is named.",
        &[],
        &[("Projects", List(&Text))],
    ),
    answered(
        "DeployedCurrent",
        "The deployments that were made, and what became of each project.",
        &[
            ("EnvironmentId", Id("Environments")),
            (
                "DeploymentServerTasks",
                List(&Object(&[("DeploymentId", Id("Deployments")), ("ServerTaskId", Id("ServerTasks"))])),
            ),
            (
                "Projects",
                List(&Object(&[
                    ("ProjectName", Text),
                    ("ReleaseVersion", Maybe(&Text)),
                    ("Outcome", OneOf(&["Queued", "Active", "Busy", "Blocked", "NeverDeployed", "Refused"])),
                    ("DeploymentId", Maybe(&Id("Deployments"))),
                    ("ServerTaskId", Maybe(&Id("ServerTasks"))),
                    ("Message", Text),
                ])),
            ),
        ],
    ),
    taken("Resolution", "What an unknown end was.", &[("As", OneOf(&["success", "failed"]))], &[]),
    answered(
        "Task",
        "What runs a deployment.",
        &[
            ("Id", Id("ServerTasks")),
            ("SpaceId", Id("Spaces")),
            ("Name", OneOf(&["Deploy"])),
            ("Description", Text),
            ("State", STATE),
            ("WaitingReason", Maybe(&Text)),
            ("IsCompleted", Flag),
            ("FinishedSuccessfully", Flag),
            ("HasPendingInterruptions", Flag),
            ("HasWarningsOrErrors", Flag),
            ("HasBeenPickedUpByProcessor", Flag),
            ("CanRerun", Flag),
            ("QueueTime", Time),
            ("StartTime", Maybe(&Time)),
            ("CompletedTime", Maybe(&Time)),
            ("LastUpdatedTime", Time),
            ("Duration", Maybe(&Text)),
            ("ErrorMessage", Maybe(&Text)),
            ("ServerNode", Maybe(&Text)),
            ("ProjectId", Id("Projects")),
            ("EnvironmentId", Id("Environments")),
            ("Arguments", Object(&[("DeploymentId", Id("Deployments"))])),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "TaskDetails",
        "A task with its log.",
        &[
            ("Task", A("Task")),
            ("Progress", Object(&[("ProgressPercentage", Whole), ("EstimatedTimeRemaining", Null)])),
            ("PhysicalLogSize", Whole),
            ("ActivityLogs", List(&A("Activity"))),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "Activity",
        "A part of what a task did.",
        &[
            ("Id", Text),
            ("Name", Text),
            ("Status", OneOf(&["Pending", "Running", "Success", "Failed", "Canceled"])),
            ("Started", Maybe(&Time)),
            ("Ended", Maybe(&Time)),
            ("ShowAtSummaryLevel", Flag),
            ("ProgressPercentage", Whole),
            ("ProgressMessage", Text),
            ("Children", List(&A("Activity"))),
            (
                "LogElements",
                List(&Object(&[
                    ("Category", OneOf(&["Verbose", "Info", "Warning", "Error"])),
                    ("OccurredAt", Time),
                    ("MessageText", Text),
                    ("Detail", Text),
                    ("Number", Whole),
                ])),
            ),
        ],
    ),
];
