package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/packmill/packmill/internal/fleet"
)

// Types and annotations of packmill's manifests.
const (
	ArtifactType        = "application/vnd.packmill.artifact.v1"
	AnnotationInstaller = "io.github.packmill.installer" // key of the installer a layer was built from
	AnnotationPackage   = "io.github.packmill.package"
	AnnotationVersion   = "io.github.packmill.version"
)

// Media types of layers.
const (
	MediaTypeIntunewin = "application/vnd.packmill.intunewin"
	MediaTypeTestLog   = "application/vnd.packmill.test-log" // UTF-8 text of one step of a test cell
	MediaTypeDeb       = "application/vnd.debian.binary-package"
	MediaTypeRPM       = "application/x-rpm"
	MediaTypeBundle    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	MediaTypeUpload    = "application/vnd.packmill.upload" // a vendor's file that was handed in
	// What configurations are set by, each in the form its console takes.
	MediaTypeCatalogPolicy = "application/vnd.packmill.intune-catalog-policy+json"
	MediaTypeDeviceConfig  = "application/vnd.packmill.intune-device-configuration+json"
	MediaTypeCompliance    = "application/vnd.packmill.intune-compliance-policy+json"
	MediaTypeHealthScript  = "application/vnd.packmill.intune-health-script+json"
	MediaTypeProfile       = "application/x-apple-aspen-config"
	// What Windows Update is told of a release that it delivers itself.
	MediaTypeUpdate = "application/vnd.packmill.windows-update+json"
	// An encrypted macOS package or disk image, and the description of how it is encrypted,
	// which has the name of the content with ".json" behind it.
	MediaTypeContent     = "application/vnd.packmill.intune-content"
	MediaTypeContentInfo = "application/vnd.packmill.intune-content-info+json"
	// Which app of the Microsoft Store a release is: it brings no content.
	MediaTypeStoreApp = "application/vnd.packmill.intune-store-app+json"
)

// A File is one file of an artifact that is to be stored.
type File struct {
	Installer string // key in the package, or setting key of a configuration
	Name      string
	MediaType string
	Digest    fleet.Digest
	Size      int64
	Open      func() (io.ReadCloser, error)
}

// An Artifact is what was built from one release.
type Artifact struct {
	Files       []File
	Annotations map[string]string
}

// A Manifest is a stored artifact.
type Manifest struct {
	Digest      fleet.Digest
	Files       []fleet.BuiltFile
	Annotations map[string]string
}

// File is the file built from the installer with the given key.
func (m Manifest) File(installer string) (fleet.BuiltFile, bool) {
	i := slices.IndexFunc(m.Files, func(f fleet.BuiltFile) bool { return f.Installer == installer })
	if i < 0 {
		return fleet.BuiltFile{}, false
	}
	return m.Files[i], true
}

// Encode is the manifest of the artifact and its digest, without storing
// anything. Two artifacts of the same files have the same manifest, in whatever
// order the files are named.
func (a Artifact) Encode() ([]byte, fleet.Digest, error) {
	if len(a.Files) == 0 {
		return nil, "", fleet.Errorf(fleet.Invalid, "store.put", "", "an artifact without files")
	}
	files := slices.SortedFunc(slices.Values(a.Files), func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Installer, b.Installer), cmp.Compare(a.Name, b.Name))
	})
	layers := make([]ocispec.Descriptor, len(files))
	for i, f := range files {
		if !f.Digest.Valid() {
			return nil, "", fleet.Errorf(fleet.Invalid, "store.put", f.Name, "%q is no digest", f.Digest)
		}
		layers[i] = ocispec.Descriptor{
			MediaType: f.MediaType, Digest: digest.Digest(f.Digest), Size: f.Size,
			Annotations: map[string]string{ocispec.AnnotationTitle: f.Name, AnnotationInstaller: f.Installer},
		}
	}
	return encode(ocispec.Manifest{ArtifactType: ArtifactType, Layers: layers, Annotations: maps.Clone(a.Annotations)})
}

// encode completes a manifest: artifact manifests have the empty config.
func encode(m ocispec.Manifest) ([]byte, fleet.Digest, error) {
	m.Versioned = specs.Versioned{SchemaVersion: 2}
	m.MediaType = ocispec.MediaTypeImageManifest
	m.Config = ocispec.DescriptorEmptyJSON
	data, err := json.Marshal(m)
	return data, fleet.DigestOf(data), err
}

// decode reads the manifest of an artifact.
func decode(data []byte) (Manifest, error) {
	m, err := decodeOCI(data)
	if err != nil {
		return Manifest{}, err
	}
	if m.ArtifactType != ArtifactType {
		return Manifest{}, fmt.Errorf("the manifest is of type %q, not an artifact of packmill", m.ArtifactType)
	}
	out := Manifest{Digest: fleet.DigestOf(data), Annotations: m.Annotations}
	for _, l := range m.Layers {
		f := fleet.BuiltFile{
			Installer: l.Annotations[AnnotationInstaller], Name: l.Annotations[ocispec.AnnotationTitle],
			MediaType: l.MediaType, Digest: fleet.Digest(l.Digest), Size: l.Size,
		}
		if !f.Digest.Valid() || f.Size < 0 {
			return Manifest{}, fmt.Errorf("layer %q has no digest or size", f.Name)
		}
		out.Files = append(out.Files, f)
	}
	return out, nil
}

func decodeOCI(data []byte) (ocispec.Manifest, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("no OCI manifest: %w", err)
	}
	if m.MediaType != ocispec.MediaTypeImageManifest || m.SchemaVersion != 2 {
		return m, fmt.Errorf("no OCI manifest, but %q", m.MediaType)
	}
	return m, nil
}
