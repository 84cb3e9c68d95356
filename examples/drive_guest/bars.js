// Which of red, green and blue shine in the middle of each eighth of the picture, below
// the figures that vivid writes into it.
const strip = new OffscreenCanvas(8, 1).getContext('2d', { willReadFrequently: true });
window.bars = () => {
    const video = document.querySelector('#remote');
    const { videoWidth: width, videoHeight: height } = video;
    strip.drawImage(video, 0, 0.9 * height, width, height / 16, 0, 0, 8, 1);
    const { data } = strip.getImageData(0, 0, 8, 1);
    return [...Array(8).keys()].map((bar) => ['r', 'g', 'b']
        .filter((name, colour) => data[bar * 4 + colour] > 96).join('')).join(' ');
};
