
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

function Get-Meaning([int]$Code) {
    $known = $script:Setup.exitCodes.PSObject.Properties[[string]$Code]
    if ($null -eq $known) { return 'failed' }
    return [string]$known.Value
}

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
