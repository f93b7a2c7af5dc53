; The widget as an NSIS installer for x64. makensis -DVERSION=1.0.0 widget.nsi
Target amd64-unicode
Name "Example Widget"
OutFile "setup.exe"
InstallDir "$PROGRAMFILES64\Example Widget"
RequestExecutionLevel admin
SilentInstall silent

!define GONE "Software\Microsoft\Windows\CurrentVersion\Uninstall\Example Widget"

Section
  SetRegView 64
  SetOutPath "$INSTDIR"
  File "widget.exe"
  ; Settings are written once and then belong to the user.
  IfFileExists "$INSTDIR\widget.ini" +2
  File "widget.ini"
  WriteRegStr HKLM "Software\Example\Widget" "Version" "${VERSION}"
  WriteRegStr HKLM "Software\Microsoft\Windows\CurrentVersion\Run" "ExampleWidget" '"$INSTDIR\widget.exe" --tray'
  WriteRegStr HKLM "${GONE}" "DisplayName" "Example Widget"
  WriteRegStr HKLM "${GONE}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${GONE}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteUninstaller "$INSTDIR\uninstall.exe"
SectionEnd

Section "Uninstall"
  SetRegView 64
  Delete "$INSTDIR\widget.exe"
  Delete "$INSTDIR\uninstall.exe"
  DeleteRegKey HKLM "Software\Example\Widget"
  DeleteRegValue HKLM "Software\Microsoft\Windows\CurrentVersion\Run" "ExampleWidget"
  DeleteRegKey HKLM "${GONE}"
  RMDir "$INSTDIR"
SectionEnd
