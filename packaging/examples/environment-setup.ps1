#!/usr/bin/env pwsh
# Called by whatever sets environments up and tears them down: gives the environment its worker and brings its
# functions to the release that its neighbours run. The same as environment-setup.sh, which says more.
#
#   environment-setup.ps1 up   ENVIRONMENT [PROJECT VERSION] [-Json]
#   environment-setup.ps1 down ENVIRONMENT [-Json]
#
# Each may be run again. The exit code is 0, or that of the step that failed, as `octarm --help` lists them.
[CmdletBinding()]
param(
    [Parameter(Position = 0)] [string] $Action,
    [Parameter(Position = 1)] [string] $Environment,
    [Parameter(Position = 2)] [string] $Project,
    [Parameter(Position = 3)] [string] $Version,
    [switch] $Json
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
# A step that fails ends this with its own exit code (below), not with an error of PowerShell's and 1.
$PSNativeCommandUseErrorActionPreference = $false

function Deny {
    [Console]::Error.WriteLine(
        'usage: environment-setup.ps1 up ENVIRONMENT [PROJECT VERSION] [-Json] | down ENVIRONMENT [-Json]')
    exit 2
}

# Runs a program; ends with its exit code when that is not 0.
function Invoke-Step([string] $Program, [string[]] $Words) {
    & $Program @Words
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

if (-not $Action -or -not $Environment) { Deny }
$state = if ($env:OCTARM_WORKER_STATE) { $env:OCTARM_WORKER_STATE } else { '/var/lib/octarm/worker' }
# An array also where nothing is in it: what an `if` alone answers then would be passed on as an empty word.
$more = @(if ($Json) { '--json' })

switch -CaseSensitive ($Action) {
    'up' {
        if ([bool] $Project -ne [bool] $Version) { Deny }
        $name = if ($env:OCTARM_NAME) { $env:OCTARM_NAME } else { [Net.Dns]::GetHostName() }
        $register = @('worker', 'register', '--name', $name, '--environment', $Environment, '--state', $state)
        $token = $env:OCTARM_REGISTRATION_TOKEN_FILE
        if (-not $token) { $token = '/etc/octarm/registration-token' }
        if (Test-Path -LiteralPath $token) { $register += @('--registration-token-file', $token) }
        if (-not $Project) { $register += '--deploy-current' }
        # Registering again with the same state folder is the same worker, and uses no token up.
        Invoke-Step 'octarm' ($register + $more)
        Invoke-Step 'chown' @('-R', 'octarm:octarm', $state)
        Invoke-Step 'systemctl' @('enable', '--now', 'octarm-worker')
        if ($Project) {
            $deploy = @('release', 'deploy', '--project', $Project, '--version', $Version, '--environment', $Environment)
            Invoke-Step 'octarm' ($deploy + @('--wait') + $more)
        }
    }
    'down' {
        if ($Project -or $Version) { Deny }
        # The worker gets nothing new, ends what it runs, and its process ends by itself.
        Invoke-Step 'octarm' (@('worker', 'deregister', '--state', $state, '--wait', '1800') + $more)
        Invoke-Step 'systemctl' @('disable', '--now', 'octarm-worker')
    }
    default { Deny }
}
exit 0
