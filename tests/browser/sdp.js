// The SDP surgery of the peers: plain text work, section by section, as the SDKs
// do it (protocol section 7).
'use strict';

const sdp = (() => {
    /** The session part and the m-sections, each with its line ends. */
    const split = (text) => text.split(/^(?=m=)/m);

    const kind = (section) => /^m=(\w+)/.exec(section)?.[1] ?? null;
    const port = (section) => Number(/^m=\w+ (\d+)/.exec(section)[1]);
    const direction = (section) =>
        /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(section)?.[1] ?? 'sendrecv';

    const media = (text) => split(text).slice(1);

    /** Changes each m-section of `wanted` kind ("audio", "video" or null for all). */
    const each = (text, wanted, change) => split(text)
        .map((part, index) => (index > 0 && (!wanted || kind(part) === wanted) ? change(part) : part))
        .join('');

    const withoutLines = (text, pattern) =>
        text.split('\r\n').filter((line) => !pattern.test(line)).join('\r\n');

    const withoutBundle = (text) => withoutLines(text, /^a=group:BUNDLE/);

    const hasBundle = (text) => /^a=group:BUNDLE/m.test(text);

    /** Takes a codec, and what belongs to it, out of all sections. */
    const withoutCodec = (text, name) => each(text, null, (section) => {
        const gone = new Set();
        const pattern = new RegExp(`^a=rtpmap:(\\d+) ${name}/`, 'gim');
        for (const [, type] of section.matchAll(pattern)) gone.add(type);
        for (const [, type, of] of section.matchAll(/^a=fmtp:(\d+) apt=(\d+)/gm)) {
            if (gone.has(of)) gone.add(type);
        }
        if (gone.size === 0) return section;
        const lines = section.split('\r\n').filter((line) => {
            const type = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line)?.[1];
            return !gone.has(type);
        });
        const words = lines[0].split(' ');
        lines[0] = [...words.slice(0, 3), ...words.slice(3).filter((t) => !gone.has(t))].join(' ');
        return lines.join('\r\n');
    });

    return {
        split, kind, port, direction, media, each,
        withoutLines, withoutBundle, hasBundle, withoutCodec,
    };
})();
