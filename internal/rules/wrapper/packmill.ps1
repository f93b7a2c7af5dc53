# packmill wrap v3: runs a vendor's installer on a device.
#
# This script is the same for every package. What it does for one is said by
# packmill.json beside it; when it may do it, by its own arguments, which differ
# from tenant to tenant. The vendor's command line stands in packmill.json as
# Windows is given it: nothing here puts one together from parts, and nothing of
# it is read as PowerShell.
#
# Exit codes: 0 done; 3010, 1641 done, a restart is due; 1618 and 79001 to 79004
# not now, try again; any other is a failure. 790xx are this script's own:
#   79001 outside the maintenance window     79002 somebody presents or is in a call
#   79003 Windows waits for a restart        79004 the program is in use
#   79005 a secret is missing or not safe    79006 not done within its time
#   79007 packmill.json cannot be read       79008 what has to be kept cannot be copied
#   79009 the vendor's updater is still on   79010 what was kept cannot be put back
#   79011 the vendor's program is not there  79012 a code that the package calls failed
#   79013 a window cannot be read            79099 anything else; the log tells
#
# It is written for Windows PowerShell 5.1, in ASCII, which every Windows reads
# alike. It loads no compiled code, so it runs where only signed scripts may.
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)][ValidateSet('Install', 'Uninstall', 'Restart')][string]$Mode,
    # Windows in the device's own time: "Mon+Tue@22:00-04:00/Sat@00:00-06:00=h".
    # After "=": h shut on holidays, g no opening at a time that clocks skip,
    # s the second of two times that clocks show twice.
    [ValidatePattern('\A[A-Za-z0-9@:+/=-]{0,700}\z')][string]$Window = '',
    [ValidatePattern('\A[A-Za-z0-9@:+/=-]{0,700}\z')][string]$Reboot = '',
    # Holidays: "2026-12-25+2026-12-26".
    [ValidatePattern('\A[0-9+-]{0,400}\z')][string]$Shut = '',
    # Mode Restart: ticks of the instant since which a restart is due.
    [ValidatePattern('\A[0-9]{0,20}\z')][string]$Since = ''
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

# A 32-bit agent starts a 32-bit PowerShell, which sees another registry and
# other program folders: the script starts itself again in the 64-bit one.
if ([Environment]::Is64BitOperatingSystem -and -not [Environment]::Is64BitProcess) {
    $again = @('-NoLogo', '-NoProfile', '-NonInteractive', '-ExecutionPolicy', [string](Get-ExecutionPolicy), '-File', $PSCommandPath, '-Mode', $Mode)
    if ($Window) { $again += @('-Window', $Window) }
    if ($Reboot) { $again += @('-Reboot', $Reboot) }
    if ($Shut) { $again += @('-Shut', $Shut) }
    if ($Since) { $again += @('-Since', $Since) }
    & (Join-Path $env:SystemRoot 'Sysnative\WindowsPowerShell\v1.0\powershell.exe') $again
    exit $LASTEXITCODE
}

$script:Setup = $null
$script:Log = ''
$script:Secrets = ''
$script:Result = 79099

# Write-Log never ends a run: a full disk, or a viewer that holds the log open,
# says nothing of how the installation went.
function Write-Log([string]$Text) {
    if ($script:Log) {
        $line = (Get-Date).ToString('yyyy-MM-ddTHH:mm:sszzz', [Globalization.CultureInfo]::InvariantCulture) + ' ' + $Text + "`r`n"
        try { [IO.File]::AppendAllText($script:Log, $line, [Text.Encoding]::UTF8) } catch { return }
    }
}

# Stop-Run ends the run with an exit code: everything after it is left undone.
function Stop-Run([int]$Code, [string]$Why) {
    $stop = New-Object System.OperationCanceledException -ArgumentList $Why
    $stop.Data['packmill'] = $Code
    throw $stop
}

# --- Folders ---------------------------------------------------------------

$script:Trusted = @('S-1-5-18', 'S-1-5-32-544') # the system, and administrators

function Get-Private {
    $security = New-Object System.Security.AccessControl.DirectorySecurity
    $security.SetSecurityDescriptorSddlForm('O:BAG:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)', 'Access, Owner, Group')
    return $security
}

# Open-Private makes a folder that only administrators read and change, and what
# is made in it later with it. Logs, copies and the script that restarts the
# device lie below Program Files, where nobody else can have made something first.
function Open-Private([string]$Path) {
    [void][IO.Directory]::CreateDirectory($Path, (Get-Private))
    (Get-Item -LiteralPath $Path -Force).SetAccessControl((Get-Private))
}

# Open-Secrets closes the folder of secrets to others than administrators. It
# lies below ProgramData, where 32-bit and 64-bit programs find the same folder
# but everybody may create one: one that somebody else made first, or a link, is
# moved out of the way and not used. Whose it is has to be asked before it is
# made the administrators' own: somebody may be quicker.
function Open-Secrets([string]$Path) {
    if ((Test-Path -LiteralPath $Path) -and -not (Test-Ours $Path)) {
        try {
            [IO.Directory]::Move($Path, $Path + '.' + [Guid]::NewGuid().ToString('N'))
        } catch {
            Stop-Run 79005 ('somebody else made ' + $Path + ', and it cannot be moved away')
        }
    }
    [void][IO.Directory]::CreateDirectory($Path, (Get-Private))
    if (-not (Test-Ours $Path)) { Stop-Run 79005 ('somebody else made ' + $Path) }
    Open-Private $Path
    $script:Secrets = Join-Path $Path 'secrets'
}

# Test-Ours reports whether a file or folder is no link and belongs to the system
# or administrators. One whose owner cannot be read does not.
function Test-Ours([string]$Path) {
    try {
        $owner = (Get-Acl -LiteralPath $Path).GetOwner([System.Security.Principal.SecurityIdentifier]).Value
        return ($script:Trusted -contains $owner) -and -not (Test-Link $Path)
    } catch {
        return $false
    }
}

function Test-Link([string]$Path) {
    return [bool]((Get-Item -LiteralPath $Path -Force).Attributes -band [IO.FileAttributes]::ReparsePoint)
}

# Test-Plain reports whether no part of a path is a link: what the system
# account copies must not lead to where somebody else wants it.
function Test-Plain([string]$Path) {
    for ($at = $Path; $at; $at = [IO.Path]::GetDirectoryName($at)) {
        if ((Test-Path -LiteralPath $at) -and (Test-Link $at)) { return $false }
    }
    return $true
}

# --- Windows ---------------------------------------------------------------

# ConvertTo-Instant is when clocks of a zone show a time, in UTC: the end of the
# gap where they skip it, or $null where the window says so; the first of two
# where they show it twice, or the second where the window says so.
function ConvertTo-Instant([TimeZoneInfo]$Zone, [datetime]$Wall, [string]$Flags) {
    if ($Zone.IsInvalidTime($Wall)) {
        if ($Flags.Contains('g')) { return $null }
        while ($Zone.IsInvalidTime($Wall)) { $Wall = $Wall.AddMinutes(1) }
    }
    $offset = $Zone.GetUtcOffset($Wall)
    if ($Zone.IsAmbiguousTime($Wall)) {
        $sorted = @($Zone.GetAmbiguousTimeOffsets($Wall) | Sort-Object)
        if ($Flags.Contains('s')) { $offset = $sorted[0] } else { $offset = $sorted[-1] }
    }
    return [datetime]::SpecifyKind($Wall - $offset, [DateTimeKind]::Utc)
}

# Find-Opening is the opening of the windows that holds an instant, or else the
# first after it within three weeks: From and Until in UTC. $null is none. Of
# several that hold it, the one that ends last.
function Find-Opening([string]$Text, [string]$Holidays, [TimeZoneInfo]$Zone, [datetime]$Now) {
    $best = $null
    $today = [datetime]::SpecifyKind([TimeZoneInfo]::ConvertTimeFromUtc($Now, $Zone).Date, [DateTimeKind]::Unspecified)
    foreach ($one in $Text.Split('/')) {
        if ($one -notmatch '\A([A-Za-z+]+)@([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])(=[hgs]{1,3})?\z') {
            Stop-Run 79013 ('a window cannot be read: ' + $one)
        }
        $days = $Matches[1].Split('+')
        $from = [int]$Matches[2] * 60 + [int]$Matches[3]
        $until = [int]$Matches[4] * 60 + [int]$Matches[5]
        $flags = ''
        if ($Matches.ContainsKey(6)) { $flags = $Matches[6] }
        for ($n = -3; $n -le 21; $n++) {
            $date = $today.AddDays($n)
            if ($days -notcontains $date.DayOfWeek.ToString().Substring(0, 3)) { continue }
            $iso = $date.ToString('yyyy-MM-dd', [Globalization.CultureInfo]::InvariantCulture)
            if ($flags.Contains('h') -and ($Holidays.Split('+') -contains $iso)) { continue }
            $end = $date
            if ($until -le $from) { $end = $date.AddDays(1) }
            $a = ConvertTo-Instant $Zone $date.AddMinutes($from) $flags
            $b = ConvertTo-Instant $Zone $end.AddMinutes($until) $flags
            if ($null -eq $a -or $null -eq $b -or $a -ge $b -or $Now -ge $b) { continue }
            $opening = New-Object PSObject -Property @{ From = $a; Until = $b; Holds = ($a -le $Now) }
            if ($null -eq $best) { $best = $opening; continue }
            if ($opening.Holds -and $best.Holds) {
                if ($b -gt $best.Until) { $best = $opening }
            } elseif ($a -lt $best.From) {
                $best = $opening
            }
        }
    }
    return $best
}

function Test-Window([string]$Text) {
    if (-not $Text) { return $true }
    $opening = Find-Opening $Text $Shut ([TimeZoneInfo]::Local) ([datetime]::UtcNow)
    return ($null -ne $opening) -and $opening.Holds
}

# --- What may be in the way ------------------------------------------------

# Test-Busy reports whether somebody presents, watches or is in a call: a
# program keeps the display on, or a microphone or camera is in use. The system
# account has no desktop of its own to ask for presentation mode; focus assist
# is not seen from here. powercfg answers administrators alone, and in the
# language of Windows: its first section is the display's, and a program stands
# there as "[...] \Device\...\name.exe".
function Test-Busy {
    $section = 0
    foreach ($line in @(& (Join-Path $env:SystemRoot 'System32\powercfg.exe') '/requests')) {
        if ($line -notmatch '\A\[' -and $line -match '[:\uFF1A]\s*\z') { $section++ }
        if ($section -eq 1 -and $line -match '\A\[[^\]]+\]\s+\\Device\\.*\.exe\s*\z') { return $true }
    }
    $store = '\Software\Microsoft\Windows\CurrentVersion\CapabilityAccessManager\ConsentStore\'
    foreach ($user in @([Microsoft.Win32.Registry]::Users.GetSubKeyNames())) {
        foreach ($below in @('microphone', 'microphone\NonPackaged', 'webcam', 'webcam\NonPackaged')) {
            try {
                if (Test-InUse ([Microsoft.Win32.Registry]::Users.OpenSubKey($user + $store + $below))) { return $true }
            } catch {
                continue # another account's, which this one may not read
            }
        }
    }
    return $false
}

# Test-InUse looks through the programs below a key for one that has begun to
# use a device and not stopped: LastUsedTimeStop is 0 then. After a crash it stays
# 0, and nobody is in a call for half a day.
function Test-InUse($Key) {
    if ($null -eq $Key) { return $false }
    foreach ($program in @($Key.GetSubKeyNames())) {
        $uses = $Key.OpenSubKey($program)
        $stopped = $uses.GetValue('LastUsedTimeStop')
        if ($null -eq $stopped -or [int64]$stopped -ne 0) { continue }
        $begun = [datetime]::FromFileTimeUtc([int64]$uses.GetValue('LastUsedTimeStart', [int64]0))
        if ($begun -gt [datetime]::UtcNow.AddHours(-12)) { return $true }
    }
    return $false
}

function Test-RestartPending {
    $windows = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion'
    if (Test-Path -LiteralPath ($windows + '\Component Based Servicing\RebootPending')) { return $true }
    if (Test-Path -LiteralPath ($windows + '\WindowsUpdate\Auto Update\RebootRequired')) { return $true }
    $session = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Control\Session Manager')
    if (@($session.GetValue('PendingFileRenameOperations') | Where-Object { $_ }).Count -gt 0) { return $true }
    try {
        $client = Invoke-CimMethod -Namespace 'root\ccm\ClientSDK' -ClassName 'CCM_ClientUtilities' -MethodName 'DetermineIfRebootPending'
        return [bool]($client.RebootPending -or $client.IsHardRebootPending)
    } catch {
        return $false # there is no Configuration Manager client
    }
}

function Get-Programs {
    $names = @($script:Setup.programs | ForEach-Object { [IO.Path]::GetFileNameWithoutExtension($_) })
    return @(Get-Process | Where-Object { $names -contains $_.ProcessName })
}

# Clear-Programs waits for the package's programs, closes them, or gives up.
function Clear-Programs {
    $limit = (Get-Date).AddMinutes($script:Setup.waitMinutes)
    while (@(Get-Programs).Count -gt 0) {
        if ($script:Setup.inUse -eq 'close') {
            # Windows of other sessions cannot be asked to close from here: the
            # system ends the programs of who is signed in without a word.
            $asked = $false
            foreach ($process in @(Get-Programs)) {
                Write-Log ('closes ' + $process.ProcessName)
                try { if ($process.CloseMainWindow()) { $asked = $true } } catch { continue }
            }
            if ($asked) { Start-Sleep -Seconds 20 }
            Get-Programs | Stop-Process -Force -ErrorAction SilentlyContinue
            Start-Sleep -Seconds 2
            if (@(Get-Programs).Count -gt 0) { Stop-Run 79004 'a program starts again whenever it is closed' }
            return
        }
        if ($script:Setup.inUse -eq 'fail' -or (Get-Date) -ge $limit) { Stop-Run 79004 'the program is in use' }
        Start-Sleep -Seconds 15
    }
}

# --- Secrets ---------------------------------------------------------------

# Get-Secret is the path of the file that holds a secret. The tenant puts it
# there; the installer reads it. Its content is never read here, so no log and
# no command line can have it.
function Get-Secret([string]$Name) {
    $file = Join-Path $script:Secrets $Name
    if (-not (Test-Path -LiteralPath $file -PathType Leaf)) { Stop-Run 79005 ('the secret ' + $Name + ' is not on this device') }
    if (-not (Test-Ours $script:Secrets)) { Stop-Run 79005 'the folder of secrets is a link, or not owned by administrators' }
    if (Test-Link $file) { Stop-Run 79005 ('the secret ' + $Name + ' is a link') }
    $acl = Get-Acl -LiteralPath $file
    $who = @($acl.GetOwner([System.Security.Principal.SecurityIdentifier]).Value)
    foreach ($rule in $acl.GetAccessRules($true, $true, [System.Security.Principal.SecurityIdentifier])) {
        if ($rule.AccessControlType -eq 'Allow') { $who += $rule.IdentityReference.Value }
    }
    if (@($who | Where-Object { $script:Trusted -notcontains $_ }).Count -gt 0) {
        Stop-Run 79005 ('the secret ' + $Name + ' can be read by others than administrators')
    }
    return $file
}

# --- The vendor's program --------------------------------------------------

# Expand-Places puts the places of this device into a text of packmill.json.
function Expand-Places([string]$Text) {
    $out = $Text.Replace('{folder}', $PSScriptRoot).Replace('{system}', [Environment]::SystemDirectory)
    $out = $out.Replace('{log}', ($script:Log -replace '\.log\z', '.vendor.log'))
    foreach ($name in @($script:Setup.secrets)) {
        if ($out.Contains('{secret:' + $name + '}')) { $out = $out.Replace('{secret:' + $name + '}', (Get-Secret $name)) }
    }
    return $out
}

# Start-Vendor runs a command of packmill.json to its end and gives its exit
# code. The arguments reach the program as they stand there.
function Start-Vendor($Command) {
    $info = New-Object System.Diagnostics.ProcessStartInfo
    $info.FileName = [Environment]::ExpandEnvironmentVariables((Expand-Places $Command.program))
    $info.Arguments = Expand-Places (@($Command.arguments) -join ' ')
    $info.WorkingDirectory = $PSScriptRoot
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    Write-Log ('runs ' + $info.FileName + ' ' + $info.Arguments)
    try {
        $process = [System.Diagnostics.Process]::Start($info)
    } catch {
        Stop-Run 79011 ('cannot start: ' + $_.Exception.Message)
    }
    if (-not $process.WaitForExit([int]$script:Setup.minutes * 60000)) {
        & (Join-Path $env:SystemRoot 'System32\taskkill.exe') '/T' '/F' '/PID' ([string]$process.Id) | Out-Null
        Stop-Run 79006 ('not done after ' + $script:Setup.minutes + ' minutes')
    }
    Write-Log ('exit code ' + $process.ExitCode)
    return $process.ExitCode
}

# Get-Meaning is what the package says of an exit code.
function Get-Meaning([int]$Code) {
    $known = $script:Setup.exitCodes.PSObject.Properties[[string]$Code]
    if ($null -eq $known) { return 'failed' }
    return [string]$known.Value
}

# Resolve-ExitCode is this script's exit code for the vendor's. A restart that
# is not to follow at once is never reported as one that has begun; a failure
# keeps its code, unless that code means something else to the console.
function Resolve-ExitCode([int]$Code, [bool]$Deferred) {
    switch (Get-Meaning $Code) {
        'success' { return 0 }
        'softReboot' { return 3010 }
        'hardReboot' { if ($Deferred) { return 3010 } else { return 1641 } }
        'retry' { return 1618 }
    }
    if ((@(0, 1618, 1641, 1707, 3010) -contains $Code) -or ($Code -ge 79000 -and $Code -le 79099)) { return 79012 }
    return $Code
}

# --- What is kept ----------------------------------------------------------

function Get-View($Kept) { if ($Kept.view -eq 32) { return '/reg:32' } else { return '/reg:64' } }

function Invoke-Tool([string]$Tool, [string[]]$Arguments, [int]$Worst) {
    & (Join-Path $env:SystemRoot ('System32\' + $Tool)) $Arguments | Out-Null
    return ($LASTEXITCODE -ge 0) -and ($LASTEXITCODE -le $Worst)
}

# Copy-Tree copies what a folder holds, links left out, and deletes nothing.
# robocopy's exit codes below 8 are successes.
function Copy-Tree([string]$From, [string]$To) {
    return Invoke-Tool 'robocopy.exe' @($From, $To, '/E', '/XJ', '/COPY:DAT', '/R:2', '/W:2', '/NFL', '/NDL', '/NJH', '/NJS', '/NP') 7
}

# Remove-Kept deletes copies. Folders may lie deeper than 260 characters, which
# robocopy alone gets rid of: it makes them like an empty one. Failing to do so is
# no failure of the run.
function Remove-Kept([string]$Folder) {
    if (-not (Test-Path -LiteralPath $Folder)) { return }
    try {
        $empty = $Folder + '_empty'
        [void][IO.Directory]::CreateDirectory($empty)
        [void](Invoke-Tool 'robocopy.exe' @($empty, $Folder, '/MIR', '/R:2', '/W:2', '/NFL', '/NDL', '/NJH', '/NJS', '/NP') 7)
        [IO.Directory]::Delete($empty)
        [IO.Directory]::Delete($Folder, $true)
    } catch {
        Write-Log ('cannot remove ' + $Folder + ': ' + $_.Exception.Message)
    }
}

function Move-Aside([string]$Folder) {
    if (-not (Test-Path -LiteralPath $Folder)) { return }
    try {
        [IO.Directory]::Move($Folder, $Folder + '_' + [datetime]::UtcNow.Ticks)
    } catch {
        Stop-Run 79008 ('cannot move ' + $Folder + ' aside')
    }
}

# Open-Kept has copies of what must outlive the installation. A run that was
# killed, or could not put everything back, leaves the only good ones: another
# try of the same installation takes those, since by now the device may hold half
# of something. Copies of another release are numbered by its own list: they are
# moved aside, and nobody deletes them.
function Open-Kept([string]$Folder) {
    $whole = $Folder + '_whole' # no log's name has a "_"
    $list = ConvertTo-Json -InputObject @($script:Setup.keep) -Compress
    $self = @($script:Setup.package, $script:Setup.version, $script:Setup.installer, $list) -join ' '
    if (Test-Path -LiteralPath $whole) {
        if ((Test-Path -LiteralPath $Folder) -and ([IO.File]::ReadAllText($whole) -ceq $self)) {
            Write-Log 'uses what an unfinished run kept'
            return
        }
        Move-Aside $Folder
        [IO.File]::Delete($whole)
    }
    Remove-Kept $Folder
    Move-Aside $Folder # what is left would be taken for a copy of this run
    Save-Kept $Folder
    [IO.File]::WriteAllText($whole, $self) # last: without it the copies are not all there
}

# Save-Kept copies: number n to n.file, the folder n, or n.reg.
function Save-Kept([string]$Folder) {
    [void][IO.Directory]::CreateDirectory($Folder)
    $n = 0
    foreach ($kept in @($script:Setup.keep)) {
        $n++
        $copy = Join-Path $Folder ([string]$n)
        if ($kept.PSObject.Properties['key']) {
            if (-not (Invoke-Tool 'reg.exe' @('query', $kept.key, (Get-View $kept)) 0)) { continue } # nothing to keep
            if (-not (Invoke-Tool 'reg.exe' @('export', $kept.key, ($copy + '.reg'), '/y', (Get-View $kept)) 0)) {
                Stop-Run 79008 ('cannot copy ' + $kept.key)
            }
            continue
        }
        $path = [Environment]::ExpandEnvironmentVariables($kept.file)
        if (-not (Test-Path -LiteralPath $path)) { continue }
        if (-not (Test-Plain $path)) { Stop-Run 79008 ('a link is in ' + $path) }
        if (Test-Path -LiteralPath $path -PathType Leaf) {
            try { Copy-Item -LiteralPath $path -Destination ($copy + '.file') -Force } catch { Stop-Run 79008 $_.Exception.Message }
        } elseif (-not (Copy-Tree $path $copy)) {
            Stop-Run 79008 ('cannot copy ' + $path)
        }
    }
}

# Restore-Kept puts back what was copied; what came since stays. One that fails,
# such as a file that a new service holds open, does not keep back the others, and
# leaves the copies where they are.
function Restore-Kept([string]$Folder, [bool]$Failed) {
    $n = 0
    $bad = @()
    foreach ($kept in @($script:Setup.keep)) {
        $n++
        if (-not $Failed -and $kept.restore -ne 'always') { continue }
        try { Restore-One $kept (Join-Path $Folder ([string]$n)) } catch { $bad += $_.Exception.Message }
    }
    if ($bad.Count -gt 0) { Stop-Run 79010 ($bad -join '; ') }
    [IO.File]::Delete($Folder + '_whole')
    Remove-Kept $Folder
}

function Restore-One($Kept, [string]$Copy) {
    if ($Kept.PSObject.Properties['key']) {
        if (-not (Test-Path -LiteralPath ($Copy + '.reg'))) { return }
        if (-not (Invoke-Tool 'reg.exe' @('import', ($Copy + '.reg'), (Get-View $Kept)) 0)) { throw ('cannot put back ' + $Kept.key) }
        Write-Log ('put back ' + $Kept.key)
        return
    }
    $single = Test-Path -LiteralPath ($Copy + '.file') -PathType Leaf
    if (-not $single -and -not (Test-Path -LiteralPath $Copy)) { return }
    $path = [Environment]::ExpandEnvironmentVariables($Kept.file)
    if (-not (Test-Plain $path)) { throw ('a link is in ' + $path) }
    if ($single) {
        [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
        Copy-Item -LiteralPath ($Copy + '.file') -Destination $path -Force
    } elseif (-not (Copy-Tree $Copy $path)) {
        throw ('cannot put back ' + $path)
    }
    Write-Log ('put back ' + $path)
}

# --- The vendor's updater --------------------------------------------------

function Disable-Updater($Parts) {
    foreach ($name in @($Parts.services)) {
        if (-not (Get-Service -Name $name -ErrorAction SilentlyContinue)) { Write-Log ('no service ' + $name); continue }
        Set-Service -Name $name -StartupType Disabled
        Stop-Service -Name $name -Force -ErrorAction SilentlyContinue
    }
    foreach ($task in @($Parts.tasks)) {
        $at = $task.LastIndexOf('\')
        $found = Get-ScheduledTask -TaskPath $task.Substring(0, $at + 1) -TaskName $task.Substring($at + 1) -ErrorAction SilentlyContinue
        if (-not $found) { Write-Log ('no task ' + $task); continue }
        $found | Disable-ScheduledTask | Out-Null
    }
    foreach ($value in @($Parts.values)) {
        $view = [Microsoft.Win32.RegistryView]::Registry64
        if ($value.view -eq 32) { $view = [Microsoft.Win32.RegistryView]::Registry32 }
        $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, $view)
        $key = $base.CreateSubKey($value.key.Substring('HKLM\'.Length))
        if ($value.PSObject.Properties['text']) {
            $key.SetValue($value.value, [string]$value.text, [Microsoft.Win32.RegistryValueKind]::String)
        } else {
            $key.SetValue($value.value, [int]$value.number, [Microsoft.Win32.RegistryValueKind]::DWord)
        }
    }
}

# --- Restarts --------------------------------------------------------------

# Register-Restart has the device restart in its window and never at once. The
# task starts a copy of this script at every opening: the folder it runs from
# now is gone by then. Openings are times of the device's clocks, whatever they
# are off from UTC by then: a boundary without an offset says so.
function Register-Restart([string]$Root) {
    $copy = Join-Path $Root 'packmill.ps1'
    Copy-Item -LiteralPath $PSCommandPath -Destination $copy -Force
    $triggers = @()
    foreach ($one in $Reboot.Split('/')) {
        $days, $clocks = $one.Split('@')
        $names = @($days.Split('+') | ForEach-Object { $day = $_; [Enum]::GetNames([DayOfWeek]) | Where-Object { $_.StartsWith($day) } })
        $at = [datetime]::Today.AddHours([int]$clocks.Substring(0, 2)).AddMinutes([int]$clocks.Substring(3, 2))
        $weekly = New-ScheduledTaskTrigger -Weekly -DaysOfWeek $names -At $at
        $weekly.StartBoundary = $at.ToString('s', [Globalization.CultureInfo]::InvariantCulture)
        $triggers += $weekly
    }
    if (Test-Window $Reboot) { $triggers += New-ScheduledTaskTrigger -Once -At (Get-Date).AddMinutes(10) }
    $line = '-NoLogo -NoProfile -NonInteractive -ExecutionPolicy {0} -File "{1}" -Mode Restart -Reboot {2} -Since {3}' -f
        (Get-ExecutionPolicy), $copy, $Reboot, [datetime]::UtcNow.Ticks
    if ($Shut) { $line += ' -Shut ' + $Shut }
    $action = New-ScheduledTaskAction -Execute (Join-Path $env:SystemRoot 'System32\WindowsPowerShell\v1.0\powershell.exe') -Argument $line
    $account = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable
    Register-ScheduledTask -TaskPath '\packmill\' -TaskName 'restart' -Action $action -Trigger $triggers -Principal $account -Settings $settings -Force | Out-Null
    Write-Log ('a restart is due in ' + $Reboot)
}

# Invoke-Restart is the task's part: it restarts inside the window, with five
# minutes' notice that end inside it too, and takes the task away once the device
# has restarted. A device that slept through the opening starts the task late.
function Invoke-Restart {
    $booted = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime.ToUniversalTime()
    if ($booted.Ticks -gt [int64]$Since) {
        Unregister-ScheduledTask -TaskPath '\packmill\' -TaskName 'restart' -Confirm:$false
    } elseif ($Reboot) {
        $opening = Find-Opening $Reboot $Shut ([TimeZoneInfo]::Local) ([datetime]::UtcNow)
        if ($null -ne $opening -and $opening.Holds -and $opening.Until -gt [datetime]::UtcNow.AddMinutes(6)) {
            & (Join-Path $env:SystemRoot 'System32\shutdown.exe') '/r' '/t' '300' '/d' 'p:4:2' '/c' 'Software was updated. This device restarts in five minutes.'
        }
    }
    $script:Result = 0
}

# --- The run ---------------------------------------------------------------

function Read-Setup {
    try {
        $script:Setup = [IO.File]::ReadAllText((Join-Path $PSScriptRoot 'packmill.json'), [Text.Encoding]::UTF8) | ConvertFrom-Json
    } catch {
        Stop-Run 79007 ('packmill.json cannot be read: ' + $_.Exception.Message)
    }
    if ($script:Setup.schema -ne 'packmill/setup/v1') { Stop-Run 79007 'packmill.json is of a version that this script does not know' }
}

function Open-Log([string]$Root) {
    [void][IO.Directory]::CreateDirectory((Join-Path $Root 'logs'))
    $file = Join-Path $Root ('logs\' + $script:Setup.log + '-' + $Mode.ToLowerInvariant() + '.log')
    $script:Log = $file
    try {
        if ((Test-Path -LiteralPath $file) -and (Get-Item -LiteralPath $file).Length -gt 1048576) { Move-Item -LiteralPath $file -Destination ($file + '.old') -Force }
    } catch {
        Write-Log ('the log grows on: ' + $_.Exception.Message)
    }
    Write-Log ($Mode + ' ' + $script:Setup.package + ' ' + $script:Setup.version + ' ' + $script:Setup.installer)
}

# Test-Now stops the run where something speaks against it at this moment.
function Test-Now {
    if (-not (Test-Window $Window)) { Stop-Run 79001 ('outside the window ' + $Window) }
    if ((@($script:Setup.putOff) -contains 'busy') -and (Test-Busy)) { Stop-Run 79002 'somebody presents or is in a call' }
    if ((@($script:Setup.putOff) -contains 'restartPending') -and (Test-RestartPending)) { Stop-Run 79003 'Windows waits for a restart' }
}

function Invoke-Setup {
    Read-Setup
    if ($script:Setup.user) {
        $root = Join-Path ([Environment]::GetFolderPath('LocalApplicationData')) 'packmill'
        [void][IO.Directory]::CreateDirectory($root)
    } else {
        $root = Join-Path ([Environment]::GetFolderPath('ProgramFiles')) 'packmill'
        Open-Private $root
    }
    Open-Log $root

    # Nothing on the device is touched before all of this holds.
    Test-Now
    if (@($script:Setup.secrets).Count -gt 0) { Open-Secrets (Join-Path ([Environment]::GetFolderPath('CommonApplicationData')) 'packmill') }
    foreach ($name in @($script:Setup.secrets)) { [void](Get-Secret $name) }
    Clear-Programs
    if ($script:Setup.inUse -eq 'wait') { Test-Now } # it may have waited; what was closed, was closed for this run

    $command = $script:Setup.install
    if ($Mode -eq 'Uninstall') { $command = $script:Setup.uninstall }
    $keeps = ($Mode -eq 'Install') -and (@($script:Setup.keep).Count -gt 0)
    $copies = Join-Path $root ('kept\' + $script:Setup.log)
    if ($keeps) { Open-Kept $copies }
    $failed = $true
    try {
        $code = Start-Vendor $command
        $failed = @('success', 'softReboot', 'hardReboot') -notcontains (Get-Meaning $code)
    } finally {
        if ($keeps) { Restore-Kept $copies $failed }
    }
    if (-not $failed -and $Mode -eq 'Install' -and $script:Setup.PSObject.Properties['updater']) {
        try { Disable-Updater $script:Setup.updater } catch { Stop-Run 79009 $_.Exception.Message }
    }
    $deferred = ($script:Setup.restart -eq 'never') -or [bool]$Reboot
    $script:Result = Resolve-ExitCode $code $deferred
    if ($script:Result -eq 3010 -and $Reboot -and $script:Setup.restart -eq 'byExitCode' -and -not $script:Setup.user) { Register-Restart $root }
}

try {
    if ($Mode -eq 'Restart') { Invoke-Restart } else { Invoke-Setup }
} catch {
    $script:Result = 79099
    if ($_.Exception.Data.Contains('packmill')) { $script:Result = [int]$_.Exception.Data['packmill'] }
    try { Write-Log ([string]$script:Result + ' ' + $_.Exception.Message) } catch { $script:Log = '' }
}
try { Write-Log ('ends with ' + $script:Result) } catch { $script:Log = '' }
exit $script:Result
