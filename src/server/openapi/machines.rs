//! Machines, workers and their pools.

use super::{
    operation::{NAMED, Operation, Parameter, delete, get, post, put},
    shape::{
        Schema,
        Shape::{Empty, Flag, Id, Like, List, Map, Null, Object, OneOf, Text, Time, Whole},
        answered, taken,
    },
};

const HEALTH: &[Parameter] = &[
    ("healthStatuses", List(&Text), "Only in this health."),
    ("commStyles", List(&Text), "Only those that the server reaches so: `None`."),
    ("isDisabled", Flag, "Only those that are disabled, or that are not."),
    ("roles", List(&Text), "Only with these roles: no machine has one."),
    ("thumbprint", Text, "Only with this thumbprint: no machine has one."),
];
const FORCE: &[Parameter] = &[("force", Flag, "Also while it is at work.")];

pub(super) const OPERATIONS: &[Operation] = &[
    get("/api/machines", "List the machines: the registered workers, by environment.")
        .query(&[NAMED, HEALTH, &[("environmentIds", List(&Text), "Only in these environments.")]])
        .answers_page("Machine"),
    post("/api/machines", "Never done: workers register themselves.").never(),
    get("/api/machines/all", "All machines.").answers_list("Machine"),
    get("/api/machines/{id}", "Show a machine, by id or name.").answers("Machine"),
    put("/api/machines/{id}", "Disable or enable a machine.").takes("MachineChange").answers("Machine"),
    delete("/api/machines/{id}", "Deregister a worker: its key stops working now.")
        .query(&[FORCE])
        .answers("Machine"),
    get("/api/machinepolicies", "List the one policy of machines.")
        .query(&[NAMED])
        .answers_page("MachinePolicy"),
    get("/api/machinepolicies/all", "The one policy in a list.").answers_list("MachinePolicy"),
    get("/api/machinepolicies/{id}", "Show the policy.").answers("MachinePolicy"),
    get("/api/machineroles/all", "The roles of machines: there are none.").answers_value(Empty),
    get("/api/workers", "List the registered workers, by pool.")
        .query(&[NAMED, HEALTH, &[("workerPoolIds", List(&Text), "Only in these pools.")]])
        .answers_page("Worker"),
    post("/api/workers", "Never done: workers register themselves.").never(),
    get("/api/workers/all", "All workers.").answers_list("Worker"),
    get("/api/workers/{id}", "Show a worker.").answers("Worker"),
    put("/api/workers/{id}", "Disable or enable a worker, or move it to another pool.")
        .takes("WorkerChange")
        .answers("Worker"),
    delete("/api/workers/{id}", "Deregister a worker: its key stops working now.")
        .query(&[FORCE])
        .answers("Worker"),
    get("/api/workerregistrationtokens", "List the registration tokens, without the tokens themselves.")
        .query(&[NAMED, &[("environmentIds", List(&Text), "Only of these environments.")]])
        .answers_page("WorkerRegistrationToken"),
    post(
        "/api/workerregistrationtokens",
        "Make a registration token for one environment. The answer is the only one that holds it.",
    )
    .takes("NewWorkerRegistrationToken")
    .makes("WorkerRegistrationToken"),
    get("/api/workerregistrationtokens/{id}", "Show a registration token, without the token itself.")
        .answers("WorkerRegistrationToken"),
    delete(
        "/api/workerregistrationtokens/{id}",
        "Delete a registration token: it registers nobody any more.",
    )
    .answers("WorkerRegistrationToken"),
    get("/api/workerpools", "List the worker pools.").query(&[NAMED]).answers_page("WorkerPool"),
    post("/api/workerpools", "Make a worker pool.").takes("NewWorkerPool").makes("WorkerPool"),
    get("/api/workerpools/all", "All worker pools.").answers_list("WorkerPool"),
    get("/api/workerpools/{id}", "Show a worker pool, by id or name.").answers("WorkerPool"),
    put("/api/workerpools/{id}", "Change a worker pool.").takes("NewWorkerPool").answers("WorkerPool"),
    delete("/api/workerpools/{id}", "Delete an empty worker pool.").answers("WorkerPool"),
];

pub(super) const SCHEMAS: &[Schema] = &[
    answered(
        "MachineHealth",
        "What a machine and a worker say alike.",
        &[
            ("Name", Text),
            ("SpaceId", Id("Spaces")),
            ("MachinePolicyId", Id("MachinePolicies")),
            ("IsDisabled", Flag),
            ("IsInProcess", Flag),
            ("HasLatestCalamari", Flag),
            ("OperatingSystem", Null),
            ("ShellName", Null),
            ("Thumbprint", Null),
            ("Uri", Null),
            ("HealthStatus", OneOf(&["Healthy", "HasWarnings", "Unhealthy", "Unavailable", "Unknown"])),
            (
                "Status",
                OneOf(&["Online", "Offline", "Disabled", "NeedsUpgrade", "CalamariNeedsUpgrade", "Unknown"]),
            ),
            ("StatusSummary", Text),
            (
                "Endpoint",
                Object(&[
                    ("CommunicationStyle", OneOf(&["None"])),
                    ("DefaultWorkerPoolId", Null),
                    ("Links", Map(&Text)),
                ]),
            ),
            ("Host", Text),
            ("LastSeen", Time),
        ],
    ),
    answered(
        "Machine",
        "A registered worker in its environment.",
        &[
            ("Id", Id("Machines")),
            ("EnvironmentIds", List(&Id("Environments"))),
            ("Roles", Empty),
            ("TenantIds", Empty),
            ("TenantTags", Empty),
            ("TenantedDeploymentParticipation", OneOf(&["Untenanted"])),
            ("Links", Map(&Text)),
        ],
    )
    .and("MachineHealth"),
    answered(
        "Worker",
        "The same worker as a member of a pool.",
        &[("Id", Id("Workers")), ("WorkerPoolIds", List(&Id("WorkerPools"))), ("Links", Map(&Text))],
    )
    .and("MachineHealth"),
    taken(
        "MachineChange",
        "What of a machine is to be another. Other things must be as they are.",
        &[],
        &[("Name", Text), ("IsDisabled", Flag)],
    ),
    taken(
        "WorkerChange",
        "What of a worker is to be another. Other things must be as they are.",
        &[],
        &[("Name", Text), ("IsDisabled", Flag), ("WorkerPoolIds", List(&Text))],
    ),
    answered(
        "WorkerPool",
        "Workers that belong together.",
        &[
            ("Id", Id("WorkerPools")),
            ("Name", Text),
            ("Slug", Text),
            ("Description", Text),
            ("IsDefault", Flag),
            ("CanAddWorkers", Flag),
            ("SortOrder", Whole),
            ("WorkerPoolType", OneOf(&["StaticWorkerPool"])),
            ("SpaceId", Id("Spaces")),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewWorkerPool",
        "A worker pool as it is to be.",
        &[("Name", Like("Fast"))],
        &[("Description", Text)],
    ),
    answered(
        "WorkerRegistrationToken",
        "What registers so many workers in one environment, for a while. The token itself is in the answer that makes it and \
         nowhere else.",
        &[
            ("Id", Id("WorkerRegistrationTokens")),
            ("SpaceId", Id("Spaces")),
            ("EnvironmentId", Id("Environments")),
            ("Hint", Text),
            ("State", OneOf(&["Active", "UsedUp", "Expired"])),
            ("Uses", Whole),
            ("Used", Whole),
            ("AllowReplace", Flag),
            ("Created", Time),
            ("CreatedBy", Text),
            ("Expires", Time),
            ("Links", Map(&Text)),
        ],
    )
    .sometimes(&[("Token", Text)]),
    taken(
        "NewWorkerRegistrationToken",
        "The registration token to make, for this environment, by id or name. It registers one worker within an hour, where \
         nothing else is said, and takes no name over.",
        &[("EnvironmentId", Like("Environments-1"))],
        &[("Environment", Text), ("ExpiresInSeconds", Whole), ("Uses", Whole), ("AllowReplace", Flag)],
    ),
    answered(
        "MachinePolicy",
        "The one policy of machines. It says nothing: workers call the server.",
        &[
            ("Id", Id("MachinePolicies")),
            ("Name", Text),
            ("Description", Text),
            ("IsDefault", Flag),
            ("SpaceId", Id("Spaces")),
            ("Links", Map(&Text)),
        ],
    ),
];
