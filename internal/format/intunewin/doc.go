// Package intunewin writes and reads the .intunewin container in which
// Microsoft Intune takes a Win32 app.
//
// The outer file is a zip with two stored entries: the encrypted content and
// Detection.xml, which holds the keys. The content is a zip of the setup folder
// laid out as
//
//	offset 0   32 bytes  HMAC-SHA256(mac key, IV || ciphertext)
//	offset 32  16 bytes  IV
//	offset 48            AES-256-CBC(encryption key, IV, PKCS #7(zip))
//
// A macOS package is uploaded as content alone, the package in place of the zip
// and without the outer one; WriteContent makes that, and ContentInfo says what
// Detection.xml would.
//
// The encryption hides nothing, since the keys travel beside it: it is what the
// service's protocol asks for. That is why keys and IV may be derived from the
// content, which makes the same input give the same file to the byte.
//
// Microsoft publishes no specification. The layout here is the one that the
// Win32 Content Prep Tool writes, and a known-answer vector in testdata pins it.
// Nothing holds a whole installer in memory, in either direction.
package intunewin
