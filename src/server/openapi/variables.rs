//! Variables of projects, libraries and releases.

use super::{
    operation::{NAMED, Operation, delete, get, post, put},
    shape::{
        Schema,
        Shape::{A, Any, Empty, Flag, Id, Like, List, Map, Maybe, OneOf, Text, Whole},
        answered, taken,
    },
};

pub(super) const OPERATIONS: &[Operation] = &[
    get("/api/libraryvariablesets", "List the library variable sets.")
        .query(&[NAMED, &[("contentType", Text, "Only this type: `Variables`.")]])
        .answers_page("LibraryVariableSet"),
    post("/api/libraryvariablesets", "Make a library variable set.")
        .takes("NewLibraryVariableSet")
        .makes("LibraryVariableSet"),
    get("/api/libraryvariablesets/all", "All library variable sets.").answers_list("LibraryVariableSet"),
    get("/api/libraryvariablesets/{id}", "Show a library variable set, by id or name.")
        .answers("LibraryVariableSet"),
    put("/api/libraryvariablesets/{id}", "Change a library variable set; what is not sent stays.")
        .takes("LibraryVariableSetChange")
        .answers("LibraryVariableSet"),
    delete("/api/libraryvariablesets/{id}", "Delete a library variable set that no project includes.")
        .answers("LibraryVariableSet"),
    get("/api/variables/names", "The names of the variables of a project, or of all.")
        .query(&[&[("project", Like("Projects-1"), "The project, by id, slug or name.")]])
        .answers_value(List(&Text)),
    get("/api/variables/preview", "Show the values of a project that would hold.")
        .query(&[&[
            ("project", Like("Projects-1"), "The project; must be given."),
            ("environment", Like("Environments-1"), "The environment that is deployed to."),
            ("channel", Text, "The channel of the release."),
            ("machine", Text, "The machine that deploys."),
            ("role", Text, "A role of the machine."),
            ("action", Text, "The action that runs."),
            ("tenant", Text, "The tenant."),
        ]])
        .answers("VariableSet"),
    get(
        "/api/variables/{id}",
        "Show the variables of a project, a library or a release. Sensitive values are null.",
    )
    .answers("VariableSet"),
    put(
        "/api/variables/{id}",
        "Change the variables of a project or a library. A sensitive null stays as it is.",
    )
    .takes("NewVariableSet")
    .answers("VariableSet"),
];

pub(super) const SCHEMAS: &[Schema] = &[
    answered(
        "LibraryVariableSet",
        "Variables that projects share.",
        &[
            ("Id", Id("LibraryVariableSets")),
            ("Name", Text),
            ("Description", Text),
            ("SpaceId", Id("Spaces")),
            ("ContentType", OneOf(&["Variables"])),
            ("VariableSetId", Text),
            ("Templates", Empty),
            ("Links", Map(&Text)),
        ],
    ),
    taken(
        "NewLibraryVariableSet",
        "A library variable set as it is to be.",
        &[("Name", Like("Common"))],
        &[("Description", Text), ("ContentType", OneOf(&["Variables"]))],
    ),
    taken(
        "LibraryVariableSetChange",
        "What of a library variable set is to be another.",
        &[],
        &[("Name", Like("Shared")), ("Description", Text)],
    ),
    answered(
        "VariableSet",
        "The variables of a project, a library or a release.",
        &[
            ("Id", Text),
            ("OwnerId", Text),
            ("Version", Whole),
            ("SpaceId", Id("Spaces")),
            ("Variables", List(&A("Variable"))),
            ("ScopeValues", A("ScopeValues")),
            ("Links", Map(&Text)),
        ],
    ),
    answered(
        "Variable",
        "A named value and where it holds. A sensitive value is null.",
        &[
            ("Id", Text),
            ("Name", Text),
            ("Value", Maybe(&Text)),
            ("Description", Maybe(&Text)),
            ("Type", Text),
            ("IsSensitive", Flag),
            ("IsEditable", Flag),
            ("Scope", Map(&List(&Text))),
            ("Prompt", Maybe(&A("Prompt"))),
        ],
    )
    .sometimes(&[("VariableSetId", Text)]),
    answered(
        "Prompt",
        "How a value is asked for with each deployment.",
        &[
            ("Label", Maybe(&Text)),
            ("Description", Maybe(&Text)),
            ("Required", Flag),
            ("DisplaySettings", Any),
        ],
    ),
    answered(
        "ScopeValues",
        "What scopes may name.",
        &[
            ("Environments", List(&A("Reference"))),
            ("Machines", List(&A("Reference"))),
            ("Actions", List(&A("Reference"))),
            ("Roles", Empty),
            ("Channels", List(&A("Reference"))),
            ("TenantTags", Empty),
            ("Processes", List(&A("Reference"))),
        ],
    ),
    taken(
        "NewVariableSet",
        "The variables as they are to be, with the version that they were read with.",
        &[("Version", Whole), ("Variables", List(&A("NewVariable")))],
        &[],
    ),
    taken(
        "NewVariable",
        "A named value as it is to be.",
        &[("Name", Like("Colour"))],
        &[
            ("Id", Text),
            ("Value", Text),
            ("Description", Text),
            ("Type", Text),
            ("IsSensitive", Flag),
            ("Scope", A("NewScope")),
            ("Prompt", A("NewPrompt")),
        ],
    ),
    taken(
        "NewScope",
        "Where a value holds.",
        &[],
        &[
            ("Environment", List(&Like("Environments-1"))),
            ("Machine", List(&Text)),
            ("Role", List(&Text)),
            ("Action", List(&Text)),
            ("Channel", List(&Text)),
            ("ProcessOwner", List(&Text)),
        ],
    ),
    taken(
        "NewPrompt",
        "How a value is to be asked for.",
        &[],
        &[("Label", Text), ("Description", Text), ("Required", Flag), ("DisplaySettings", Any)],
    ),
];
