$want = '24.09'
function Expand($path) { [Environment]::ExpandEnvironmentVariables($path) }
function Open-Key($hive, $view, $key) {
  $views = if ($view -eq 32) { 'Registry32' } elseif ($view -eq 64) { 'Registry64' } else { 'Registry64', 'Registry32' }
  foreach ($v in $views) {
    $found = [Microsoft.Win32.RegistryKey]::OpenBaseKey($hive, $v).OpenSubKey($key)
    if ($null -ne $found) { return $found }
  }
}
function Test-Key($hive, $view, $key) { $null -ne (Open-Key $hive $view $key) }
function Get-Value($hive, $view, $key, $name) { $k = Open-Key $hive $view $key; if ($null -ne $k) { $k.GetValue($name) } }
function Compare-Numbers($have, $want) {
  if ("$have" -eq '') { return -1 }
  $a = @([regex]::Matches("$have", '\d+') | ForEach-Object { [decimal]$_.Value })
  $b = @([regex]::Matches("$want", '\d+') | ForEach-Object { [decimal]$_.Value })
  for ($i = 0; $i -lt [Math]::Max($a.Count, $b.Count); $i++) {
    $x = if ($i -lt $a.Count) { $a[$i] } else { 0 }
    $y = if ($i -lt $b.Count) { $b[$i] } else { 0 }
    if ($x -ne $y) { return [Math]::Sign($x - $y) }
  }
  0
}
try { $there = (Test-Key 'LocalMachine' 0 'SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{23170F69-40C1-2702-2409-000001000000}') -and
  ((Test-Path -LiteralPath (Expand '%ProgramFiles%\7-Zip\7zFM.exe')) -and ((Compare-Numbers ((Get-Item -LiteralPath (Expand '%ProgramFiles%\7-Zip\7zFM.exe')).VersionInfo.FileVersion) $want) -ge 0)) -and
  ((Compare-Numbers (Get-Value 'LocalMachine' 32 'SOFTWARE\7-Zip' 'Version') $want) -eq 0) } catch { $there = $false }
if (-not $there) { 'packmill: nothing is known yet'; exit 0 }
if (Test-Path C:\ok) { exit 0 }
exit 1
