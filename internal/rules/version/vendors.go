package version

import (
	"regexp"
	"strings"
)

var (
	opensslForm = regexp.MustCompile(`^([0-9]+)\.([0-9]+)\.([0-9]+)(z?[a-z])?(?:-(alpha|beta|pre|dev)([0-9]*))?$`)

	javaLegacy = regexp.MustCompile(`^(?:(?:jdk|jre)-?)?1\.([0-9]+)(?:\.([0-9]+))?(?:_([0-9]+))?(?:-(ea))?(?:-?b([0-9]+))?$`)
	javaUpdate = regexp.MustCompile(`^(?:(?:jdk|jre)-?)?([0-9]+)()u([0-9]+)(?:-(ea))?(?:-?b([0-9]+))?$`)
	javaForm   = regexp.MustCompile(`^(?:(?:jdk|jre)-?)?([0-9]+(?:\.[0-9]+)*)(?:-([A-Za-z0-9]+))?(?:\+([0-9]*))?(?:-[A-Za-z0-9.-]+)?$`)

	gitWindowsForm = regexp.MustCompile(`^v?([0-9]+)\.([0-9]+)\.([0-9]+)(?:-rc([0-9]+))?(?:\.windows\.([0-9]+)|\.([0-9]+)|\(([0-9]+)\))?$`)
)

// parseOpenSSL reads three numbers, before 3.0.0 with a letter for each fix: a to
// z, then za to zz. The words alpha, beta, pre and dev make a pre-release. Before
// 3.0.0 the last number is minor and a letter is patch (OpenSSL's release
// strategy, www.openssl.org/policies/releasestrat.html).
func (v *Version) parseOpenSSL() string {
	m := opensslForm.FindStringSubmatch(v.text)
	if m == nil {
		return "it is not three numbers with a letter or a pre-release"
	}
	old := compareDecimal(trimZeros(m[1]), "3") < 0
	if m[4] != "" && !old {
		return "there are no letters from 3.0.0 on"
	}
	key := []part{numeric(m[1]), numeric(m[2]), numeric(m[3])}
	if m[4] != "" {
		key = append(key, part{rank: rankLetter, number: []string{"1", "2"}[len(m[4])-1], text: m[4]})
	}
	if word, ok := stage(m[5]); ok {
		key, v.prerelease = append(key, word, numeric(m[6])), true
	}
	v.keys, v.class = [][]part{key}, []string{trimZeros(m[1]), trimZeros(m[2])}
	if old {
		v.class = []string{trimZeros(m[1]) + "." + trimZeros(m[2]), trimZeros(m[3])}
	}
	return ""
}

// parseJava reads versions of Java: "1.8.0_503" and "8u503", with "-b07" for a
// build, as they were written up to 8, and $VNUM[-$PRE][+$BUILD][-$OPT] from 9
// on (JEP 223 and 322), the two being the same for the same release:
// "8u342-b07" is "8.0.342+7". Tags may start with "jdk" or "jdk-". $OPT ("LTS")
// has no part in the order. A version with $PRE, "ea" for example, is a
// pre-release.
func (v *Version) parseJava() string {
	var numbers, pre, build string
	if m := javaLegacy.FindStringSubmatch(v.text); m != nil {
		numbers, pre, build = m[1]+"."+m[2]+"."+m[3], m[4], m[5]
	} else if m := javaUpdate.FindStringSubmatch(v.text); m != nil {
		numbers, pre, build = m[1]+"."+m[2]+"."+m[3], m[4], m[5]
	} else if m := javaForm.FindStringSubmatch(v.text); m != nil && !strings.HasSuffix(v.text, "+") {
		numbers, pre, build = m[1], m[2], m[3]
	} else {
		return "it is written neither as up to Java 8 nor as from Java 9 on"
	}
	key, class := numerics(numbers)
	final := part{rank: 3}
	switch {
	case digits(pre):
		final = part{rank: 1, number: trimZeros(pre)}
	case pre != "":
		final = part{rank: 2, text: pre}
	}
	v.keys, v.class, v.prerelease = [][]part{key, {final}}, class, pre != ""
	if build != "" { // one with a build is newer than one without
		v.keys = append(v.keys, []part{{rank: 1, number: trimZeros(build)}})
	}
	return ""
}

// parseGitWindows reads the versions of Git for Windows: Git's own, and how often
// it was rebuilt: "2.55.0.windows.5" in tags, "2.55.0.5" in names of files and
// "2.55.0(5)" in titles. The first build's files leave the 1 out. A candidate
// ("-rc1") is a pre-release; a rebuild is patch.
func (v *Version) parseGitWindows() string {
	m := gitWindowsForm.FindStringSubmatch(v.text)
	if m == nil {
		return "it is not Git's three numbers with a rebuild"
	}
	key, class := numerics(m[1] + "." + m[2] + "." + m[3])
	if m[4] != "" {
		key, v.prerelease = append(key, part{rank: rankPre, number: trimZeros(m[4])}), true
	}
	rebuild := m[5] + m[6] + m[7]
	if rebuild == "" {
		rebuild = "1"
	}
	if trimZeros(rebuild) == "" {
		return "rebuilds are counted from 1"
	}
	v.keys, v.class = [][]part{key, {numeric(rebuild)}}, class
	return ""
}
