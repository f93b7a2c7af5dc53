package intune

import (
	"time"

	"github.com/packmill/packmill/internal/edge/intune/assign"
)

// The types here are the parts of Graph's resources that packmill reads and
// writes. Unknown properties are ignored: the service grows.

// A mobileApp is what all app objects have. Properties that may go away from one
// release to the next are sent as null when they are not set.
type mobileApp struct {
	ODataType               string       `json:"@odata.type"`
	ID                      string       `json:"id,omitempty"`
	DisplayName             string       `json:"displayName,omitempty"`
	Description             string       `json:"description,omitempty"`
	Publisher               string       `json:"publisher,omitempty"`
	Notes                   *string      `json:"notes,omitempty"`
	LargeIcon               *mimeContent `json:"largeIcon,omitempty"` // a package without one leaves what people chose
	RoleScopeTagIDs         []string     `json:"roleScopeTagIds,omitempty"`
	FileName                string       `json:"fileName,omitempty"`
	CommittedContentVersion string       `json:"committedContentVersion,omitempty"`
	PublishingState         string       `json:"publishingState,omitempty"`
	CreatedDateTime         *time.Time   `json:"createdDateTime,omitempty"`
}

// common is the part that every kind has.
func (m *mobileApp) common() *mobileApp { return m }

// An appBody is an app object as it is written: a pointer to one of the types
// here that embed mobileApp.
type appBody interface{ common() *mobileApp }

type mimeContent struct {
	Type  string `json:"type"`
	Value []byte `json:"value"`
}

type win32LobApp struct {
	mobileApp
	DisplayVersion          string             `json:"displayVersion,omitempty"`
	SetupFilePath           string             `json:"setupFilePath,omitempty"`
	InstallCommandLine      string             `json:"installCommandLine,omitempty"`
	UninstallCommandLine    string             `json:"uninstallCommandLine,omitempty"`
	InstallExperience       *installExperience `json:"installExperience,omitempty"`
	ApplicableArchitectures string             `json:"applicableArchitectures,omitempty"`
	AllowedArchitectures    string             `json:"allowedArchitectures,omitempty"`
	MinimumRelease          string             `json:"minimumSupportedWindowsRelease,omitempty"`
	MinimumDiskMB           *int               `json:"minimumFreeDiskSpaceInMB"`
	MinimumMemoryMB         *int               `json:"minimumMemoryInMB"`
	Rules                   []rule             `json:"rules,omitempty"`
	ReturnCodes             []returnCode       `json:"returnCodes,omitempty"`
	MSIInformation          *msiInformation    `json:"msiInformation"`
}

// A bundleApp is a macOSDmgApp, and what a macOSPkgApp has in common with it.
type bundleApp struct {
	mobileApp
	PrimaryBundleID      string          `json:"primaryBundleId"`
	PrimaryBundleVersion string          `json:"primaryBundleVersion"`
	IncludedApps         []includedApp   `json:"includedApps"`
	IgnoreVersion        bool            `json:"ignoreVersionDetection"`
	MinimumOS            map[string]bool `json:"minimumSupportedOperatingSystem"`
}

// A pkgApp is a macOSPkgApp: no other kind has scripts around its installation.
type pkgApp struct {
	bundleApp
	Before *macScript `json:"preInstallScript"`
	After  *macScript `json:"postInstallScript"`
}

type macScript struct {
	Content []byte `json:"scriptContent"`
}

type includedApp struct {
	BundleID      string `json:"bundleId"`
	BundleVersion string `json:"bundleVersion"`
}

// A lobApp is a macOSLobApp. Microsoft's names are crossed: buildNumber is
// CFBundleShortVersionString, versionNumber CFBundleVersion.
type lobApp struct {
	mobileApp
	BundleID         string          `json:"bundleId"`
	BuildNumber      string          `json:"buildNumber"`
	VersionNumber    string          `json:"versionNumber"`
	ChildApps        []childApp      `json:"childApps"`
	InstallAsManaged bool            `json:"installAsManaged"`
	IgnoreVersion    bool            `json:"ignoreVersionDetection"`
	MinimumOS        map[string]bool `json:"minimumSupportedOperatingSystem"`
}

type childApp struct {
	BundleID      string `json:"bundleId"`
	BuildNumber   string `json:"buildNumber"`
	VersionNumber string `json:"versionNumber"`
}

// A storeApp is a winGetApp. Its identifier and repository can only be set when
// it is made; then they are sent, and never again.
type storeApp struct {
	mobileApp
	PackageIdentifier string           `json:"packageIdentifier,omitempty"`
	RepositoryType    string           `json:"repositoryType,omitempty"` // not in Microsoft's description
	InstallExperience *storeExperience `json:"installExperience,omitempty"`
}

type storeExperience struct {
	RunAsAccount string `json:"runAsAccount"`
}

type installExperience struct {
	RunAsAccount          string `json:"runAsAccount"`
	DeviceRestartBehavior string `json:"deviceRestartBehavior"`
	MaxRunTimeInMinutes   int    `json:"maxRunTimeInMinutes"`
	InUseBehavior         string `json:"inUseBehavior"`
}

// A rule is any of the win32LobApp…Rule types; ODataType tells which.
type rule struct {
	ODataType              string `json:"@odata.type"`
	RuleType               string `json:"ruleType"` // detection, requirement
	ProductCode            string `json:"productCode,omitempty"`
	ProductVersion         string `json:"productVersion,omitempty"`
	ProductVersionOperator string `json:"productVersionOperator,omitempty"`
	Path                   string `json:"path,omitempty"`
	FileOrFolderName       string `json:"fileOrFolderName,omitempty"`
	KeyPath                string `json:"keyPath,omitempty"`
	ValueName              string `json:"valueName,omitempty"`
	Check32BitOn64System   *bool  `json:"check32BitOn64System,omitempty"`
	OperationType          string `json:"operationType,omitempty"`
	Operator               string `json:"operator,omitempty"`
	ComparisonValue        string `json:"comparisonValue,omitempty"`
	DisplayName            string `json:"displayName,omitempty"`
	EnforceSignatureCheck  *bool  `json:"enforceSignatureCheck,omitempty"`
	RunAs32Bit             *bool  `json:"runAs32Bit,omitempty"`
	RunAsAccount           string `json:"runAsAccount,omitempty"`
	ScriptContent          string `json:"scriptContent,omitempty"`
}

type returnCode struct {
	ReturnCode int    `json:"returnCode"`
	Type       string `json:"type"`
}

type msiInformation struct {
	PackageType    string `json:"packageType"`
	ProductCode    string `json:"productCode"`
	ProductName    string `json:"productName,omitempty"`
	ProductVersion string `json:"productVersion,omitempty"`
	Publisher      string `json:"publisher,omitempty"`
	UpgradeCode    string `json:"upgradeCode,omitempty"`
	RequiresReboot bool   `json:"requiresReboot"`
}

type mobileAppContent struct {
	ID string `json:"id"`
}

type contentFile struct {
	ODataType     string     `json:"@odata.type,omitempty"`
	ID            string     `json:"id,omitempty"`
	Name          string     `json:"name"`
	Size          int64      `json:"size"`
	SizeEncrypted int64      `json:"sizeEncrypted"`
	IsDependency  bool       `json:"isDependency"`
	IsCommitted   bool       `json:"isCommitted,omitempty"`
	UploadState   string     `json:"uploadState,omitempty"`
	URI           string     `json:"azureStorageUri,omitempty"`
	Expires       *time.Time `json:"azureStorageUriExpirationDateTime,omitempty"`
}

type fileEncryptionInfo struct {
	EncryptionKey        []byte `json:"encryptionKey"`
	MacKey               []byte `json:"macKey"`
	InitializationVector []byte `json:"initializationVector"`
	Mac                  []byte `json:"mac"`
	ProfileIdentifier    string `json:"profileIdentifier"`
	FileDigest           []byte `json:"fileDigest"`
	FileDigestAlgorithm  string `json:"fileDigestAlgorithm"`
}

// An assignment as it is read and sent.
type assignment struct {
	ODataType string `json:"@odata.type"`
	Intent    string `json:"intent"`
	assign.Entry
	Settings *assignmentSettings `json:"settings"`
}

type assignmentSettings struct {
	ODataType     string               `json:"@odata.type"`
	Notifications string               `json:"notifications"`
	InstallTime   *installTimeSettings `json:"installTimeSettings"`
	Restart       *restartSettings     `json:"restartSettings"`
	Delivery      string               `json:"deliveryOptimizationPriority"`
}

type restartSettings struct {
	Grace     int  `json:"gracePeriodInMinutes"`
	Countdown int  `json:"countdownDisplayBeforeRestartInMinutes"`
	Snooze    *int `json:"restartNotificationSnoozeDurationInMinutes"`
}

type installTimeSettings struct {
	UseLocalTime     bool    `json:"useLocalTime"`
	StartDateTime    *string `json:"startDateTime"`
	DeadlineDateTime *string `json:"deadlineDateTime"`
}

type managedDevice struct {
	ID              string    `json:"id"`
	AzureADDeviceID string    `json:"azureADDeviceId"`
	OperatingSystem string    `json:"operatingSystem"`
	OSVersion       string    `json:"osVersion"`
	LastSync        time.Time `json:"lastSyncDateTime"`
	Manufacturer    string    `json:"manufacturer"`
	Model           string    `json:"model"`
	Category        string    `json:"deviceCategoryDisplayName"`
	UserID          string    `json:"userId"`

	Agent    string    `json:"managementAgent"`
	Features *features `json:"configurationManagerClientEnabledFeatures"`
}

// features say, of a device that Configuration Manager manages as well, which
// workloads are Intune's.
type features struct {
	Apps    *bool `json:"modernApps"`
	Updates *bool `json:"windowsUpdateForBusiness"`
}

type directoryDevice struct {
	ID       string `json:"id"`
	DeviceID string `json:"deviceId"`
}

type directoryGroup struct {
	ID              string     `json:"id,omitempty"`
	DisplayName     string     `json:"displayName"`
	Description     string     `json:"description"`
	MailEnabled     bool       `json:"mailEnabled"`
	MailNickname    string     `json:"mailNickname"`
	SecurityEnabled bool       `json:"securityEnabled"`
	CreatedDateTime *time.Time `json:"createdDateTime,omitempty"`
}
