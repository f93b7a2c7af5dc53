#!/usr/bin/env bash
# Puts packmill on PATH for the steps after this one. Its inputs are the
# environment: VERSION, SERVER, PUBLIC_KEY, and what GitHub Actions sets.
set -euo pipefail

source=$(cd "$GITHUB_ACTION_PATH/../.." && pwd)
into=$RUNNER_TEMP/packmill-bin
mkdir -p "$into"

from_source() {
  go -C "$source" build -o "$into/packmill" ./cmd/packmill
}

fetch() {
  curl --fail --silent --show-error --location --retry 3 --max-time 300 --output "$2" "$SERVER/releases/download/$VERSION/$1"
}

# verify checks the signature of the checksums: by the given key, or as made by
# this repository's release workflow for exactly this tag. cosign is the one on
# PATH, or is built from the versions that the source pins.
verify() {
  local cosign
  if ! cosign=$(command -v cosign); then
    go -C "$source/tools/cosign" build -o "$into/" tool
    cosign=$into/cosign
  fi
  local whose
  if [ -n "$PUBLIC_KEY" ]; then
    whose=(--key "$PUBLIC_KEY" --insecure-ignore-tlog)
  else
    whose=(
      --certificate-identity "$SERVER/.github/workflows/release.yml@refs/tags/$VERSION"
      --certificate-oidc-issuer https://token.actions.githubusercontent.com
    )
  fi
  "$cosign" verify-blob "${whose[@]}" --bundle SHA256SUMS.sigstore.json SHA256SUMS
}

from_release() {
  if ! [[ $VERSION =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]]; then
    echo "::error::version \"${VERSION//[^0-9A-Za-z.-]/?}\" is neither \"source\" nor a release such as v1.2.3" >&2
    return 2
  fi
  local system machine name
  case $RUNNER_OS in
    Linux) system=linux ;;
    macOS) system=darwin ;;
    Windows) system=windows ;;
    *) echo "::error::there is no release for $RUNNER_OS" >&2; return 2 ;;
  esac
  case $RUNNER_ARCH in
    X64) machine=amd64 ;;
    ARM64) machine=arm64 ;;
    *) echo "::error::there is no release for $RUNNER_ARCH" >&2; return 2 ;;
  esac
  name=packmill_${VERSION#v}_${system}_$machine.tar.gz
  local work
  work=$(mktemp -d "$RUNNER_TEMP/packmill-release.XXXXXX")
  cd "$work"
  fetch SHA256SUMS SHA256SUMS
  fetch SHA256SUMS.sigstore.json SHA256SUMS.sigstore.json
  verify
  fetch "$name" "$name"
  # Exactly one line names the file; its digest is the one that counts.
  awk -v name="$name" '$2 == name' SHA256SUMS >wanted
  [ "$(wc -l <wanted)" = 1 ] || { echo "::error::SHA256SUMS does not name $name once" >&2; return 3; }
  sha256sum --check --strict --quiet wanted
  tar -xzf "$name" -C "$into" packmill
}

if [ "$VERSION" = source ]; then
  from_source
else
  (from_release)
fi
echo "$into" >>"$GITHUB_PATH"
"$into/packmill" version
