
$stateKey = 'SOFTWARE\packmill\settings\' + $package.Replace('/', '\') + '\' + $setting
# What lies here is written to the device by the system account. Everybody may
# create folders below ProgramData, nobody but administrators here.
$stateFolder = [IO.Path]::Combine([Environment]::GetFolderPath('ProgramFiles'), 'packmill\settings\' + $package.Replace('/', '\') + '\' + $setting)

function Open-Hive($view) {
  [Microsoft.Win32.RegistryKey]::OpenBaseKey('LocalMachine', ('Registry' + $view))
}

# A value's name among what was kept: no key has an empty part, so the two
# backslashes part key and name.
function Get-Label($v) {
  $v.View + ':' + $v.Key + '\\' + $v.Name
}

function Test-Same($a, $b) {
  $x = @($a)
  $y = @($b)
  if ($x.Count -ne $y.Count) { return $false }
  for ($i = 0; $i -lt $x.Count; $i++) {
    if ([string]$x[$i] -cne [string]$y[$i]) { return $false }
  }
  return $true
}

function Test-Value($v) {
  $key = (Open-Hive $v.View).OpenSubKey($v.Key)
  if ($null -eq $key) { return $false }
  try {
    if ($key.GetValueNames() -notcontains $v.Name) { return $false }
    if ([string]$key.GetValueKind($v.Name) -ne $v.Kind) { return $false }
    $found = $key.GetValue($v.Name, $null, 'DoNotExpandEnvironmentNames')
    return (Test-Same $found $v.Data)
  } finally {
    $key.Close()
  }
}

function Get-FullPath($f) {
  [Environment]::ExpandEnvironmentVariables($f.Path)
}

function Test-File($f) {
  $path = Get-FullPath $f
  if (-not [IO.File]::Exists($path)) { return $false }
  $sum = [Security.Cryptography.SHA256]::Create().ComputeHash([IO.File]::ReadAllBytes($path))
  return ([BitConverter]::ToString($sum).Replace('-', '') -eq $f.Sum)
}

# Throws where a part of a path is a link: what the system account writes,
# copies or deletes must not be where somebody else leads it.
function Assert-Plain($path) {
  for ($at = $path; $at; $at = [IO.Path]::GetDirectoryName($at)) {
    if (-not ([IO.File]::Exists($at) -or [IO.Directory]::Exists($at))) { continue }
    if ([IO.File]::GetAttributes($at) -band [IO.FileAttributes]::ReparsePoint) { throw ('a link is in the way: ' + $at) }
  }
}

# 0 when everything is in place, and says so: the service takes a silent script
# for one that found nothing. 1 otherwise, and says what is not.
function Test-Setting {
  $wrong = 0
  foreach ($v in $values) {
    if (-not (Test-Value $v)) { $wrong = 1; [Console]::Out.WriteLine('not in place: HKLM\' + $v.Key + ' ' + $v.Name) }
  }
  foreach ($f in $files) {
    if (-not (Test-File $f)) { $wrong = 1; [Console]::Out.WriteLine('not in place: ' + $f.Path) }
  }
  if ($wrong -eq 0) { [Console]::Out.WriteLine('in place') }
  return $wrong
}

# Makes the folder of what is kept, for administrators alone: a file may hold
# what others must not read.
function Open-State {
  $security = New-Object Security.AccessControl.DirectorySecurity
  $security.SetSecurityDescriptorSddlForm('O:BAG:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)', 'Access, Owner, Group')
  [void][IO.Directory]::CreateDirectory($stateFolder, $security)
}

# Keeps what is there before the first change.
function Save-Setting {
  $before = (Open-Hive '64').CreateSubKey($stateKey + '\before')
  $absent = (Open-Hive '64').CreateSubKey($stateKey + '\absent')
  foreach ($v in $values) {
    $label = Get-Label $v
    if (($before.GetValueNames() -contains $label) -or ($absent.GetValueNames() -contains $label)) { continue }
    $key = (Open-Hive $v.View).OpenSubKey($v.Key)
    if (($null -ne $key) -and ($key.GetValueNames() -contains $v.Name)) {
      $before.SetValue($label, $key.GetValue($v.Name, $null, 'DoNotExpandEnvironmentNames'), $key.GetValueKind($v.Name))
    } else {
      $absent.SetValue($label, 1, 'DWord')
    }
    if ($null -ne $key) { $key.Close() }
  }
  $before.Close()
  $absent.Close()
  if ($files.Count -gt 0) { Open-State }
  foreach ($f in $files) {
    $path = Get-FullPath $f
    $note = [IO.Path]::Combine($stateFolder, $f.Id + '.path')
    if ([IO.File]::Exists($note)) { continue }
    Assert-Plain $path
    if ([IO.File]::Exists($path)) { [IO.File]::Copy($path, [IO.Path]::Combine($stateFolder, $f.Id + '.before'), $true) }
    # Written last: without it nothing was kept.
    [IO.File]::WriteAllText($note, $path)
  }
}

function Set-Setting {
  foreach ($v in $values) {
    if (Test-Value $v) { continue }
    $key = (Open-Hive $v.View).CreateSubKey($v.Key)
    $key.SetValue($v.Name, $v.Data, $v.Kind)
    $key.Close()
  }
  foreach ($f in $files) {
    if (Test-File $f) { continue }
    $path = Get-FullPath $f
    Assert-Plain $path
    [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
    [IO.File]::WriteAllBytes($path, [Convert]::FromBase64String($f.Bytes))
  }
  Restore-Setting $false
}

# Puts back what was there before: of everything, or of what this release does
# not set any more.
function Restore-Setting($everything) {
  $wanted = @()
  if (-not $everything) {
    $wanted = @($values | ForEach-Object { Get-Label $_ }) + @($files | ForEach-Object { $_.Id })
  }
  foreach ($part in 'before', 'absent') {
    $kept = (Open-Hive '64').OpenSubKey($stateKey + '\' + $part, $true)
    if ($null -eq $kept) { continue }
    foreach ($label in $kept.GetValueNames()) {
      if ($wanted -contains $label) { continue }
      $at = $label.IndexOf('\\')
      $key = (Open-Hive $label.Substring(0, 2)).CreateSubKey($label.Substring(3, $at - 3))
      $name = $label.Substring($at + 2)
      if ($part -eq 'before') {
        $key.SetValue($name, $kept.GetValue($label, $null, 'DoNotExpandEnvironmentNames'), $kept.GetValueKind($label))
      } else {
        $key.DeleteValue($name, $false)
      }
      $key.Close()
      $kept.DeleteValue($label)
    }
    $kept.Close()
  }
  if ($everything) { (Open-Hive '64').DeleteSubKeyTree($stateKey, $false) }
  if (-not [IO.Directory]::Exists($stateFolder)) { return }
  foreach ($note in [IO.Directory]::GetFiles($stateFolder, '*.path')) {
    $id = [IO.Path]::GetFileNameWithoutExtension($note)
    if ($wanted -contains $id) { continue }
    $path = [IO.File]::ReadAllText($note)
    Assert-Plain $path
    $copy = [IO.Path]::Combine($stateFolder, $id + '.before')
    if ([IO.File]::Exists($copy)) {
      [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
      [IO.File]::Copy($copy, $path, $true)
    } elseif ([IO.File]::Exists($path)) {
      [IO.File]::Delete($path)
    }
    [IO.File]::Delete($note)
    [IO.File]::Delete($copy)
  }
}
