// Emoji by the names that Slack gives them: a sensible set. A name that is not here is shown as it was typed.

export const EMOJI = {
  'smile': '😄', 'grinning': '😀', 'smiley': '😃', 'grin': '😁', 'laughing': '😆', 'joy': '😂',
  'rolling_on_the_floor_laughing': '🤣', 'slightly_smiling_face': '🙂', 'wink': '😉', 'blush': '😊',
  'innocent': '😇', 'heart_eyes': '😍', 'star-struck': '🤩', 'yum': '😋', 'thinking_face': '🤔',
  'neutral_face': '😐', 'no_mouth': '😶', 'smirk': '😏', 'relieved': '😌', 'sleeping': '😴', 'sunglasses': '😎',
  'nerd_face': '🤓', 'confused': '😕', 'worried': '😟', 'slightly_frowning_face': '🙁', 'open_mouth': '😮',
  'flushed': '😳', 'pleading_face': '🥺', 'cry': '😢', 'sob': '😭', 'scream': '😱', 'disappointed': '😞',
  'sweat_smile': '😅', 'sweat': '😓', 'angry': '😠', 'rage': '😡', 'exploding_head': '🤯', 'partying_face':
  '🥳', 'hugging_face': '🤗', 'upside_down_face': '🙃', 'face_with_rolling_eyes': '🙄', 'zipper_mouth_face':
  '🤐', 'melting_face': '🫠', 'saluting_face': '🫡',
  'wave': '👋', 'raised_hand': '✋', 'ok_hand': '👌', 'v': '✌️', 'crossed_fingers': '🤞', 'point_left': '👈',
  'point_right': '👉', 'point_up_2': '👆', 'point_down': '👇', '+1': '👍', 'thumbsup': '👍', '-1': '👎',
  'thumbsdown': '👎', 'fist': '✊', 'facepunch': '👊', 'clap': '👏', 'raised_hands': '🙌', 'open_hands': '👐',
  'handshake': '🤝', 'pray': '🙏', 'muscle': '💪', 'writing_hand': '✍️', 'eyes': '👀', 'brain': '🧠',
  'bust_in_silhouette': '👤', 'busts_in_silhouette': '👥',
  'heart': '❤️', 'orange_heart': '🧡', 'yellow_heart': '💛', 'green_heart': '💚', 'blue_heart': '💙',
  'purple_heart': '💜', 'broken_heart': '💔', 'sparkling_heart': '💖', '100': '💯', 'boom': '💥', 'sparkles':
  '✨', 'star': '⭐', 'star2': '🌟', 'dizzy': '💫', 'fire': '🔥', 'zap': '⚡', 'rainbow': '🌈', 'sunny': '☀️',
  'sunrise': '🌅', 'cloud': '☁️', 'umbrella': '☔', 'snowflake': '❄️', 'ocean': '🌊', 'seedling': '🌱',
  'herb': '🌿', 'four_leaf_clover': '🍀', 'deciduous_tree': '🌳', 'cherry_blossom': '🌸', 'sunflower': '🌻',
  'tada': '🎉', 'confetti_ball': '🎊', 'balloon': '🎈', 'gift': '🎁', 'birthday': '🎂', 'trophy': '🏆', 'medal':
  '🏅', 'first_place_medal': '🥇', 'second_place_medal': '🥈', 'third_place_medal': '🥉', 'dart': '🎯',
  'soccer': '⚽', 'basketball': '🏀', 'art': '🎨', 'musical_note': '🎵', 'coffee': '☕', 'tea': '🍵', 'beer':
  '🍺', 'beers': '🍻', 'champagne': '🍾', 'pizza': '🍕', 'cake': '🍰', 'cookie': '🍪', 'apple': '🍎',
  'rocket': '🚀', 'airplane': '✈️', 'car': '🚗', 'train': '🚆', 'steam_locomotive': '🚂', 'bullettrain_side':
  '🚄', 'ship': '🚢', 'anchor': '⚓', 'bike': '🚲', 'construction': '🚧', 'vertical_traffic_light': '🚦',
  'house': '🏠', 'office': '🏢', 'factory': '🏭', 'earth_africa': '🌍', 'earth_americas': '🌎', 'earth_asia':
  '🌏', 'globe_with_meridians': '🌐',
  'white_check_mark': '✅', 'heavy_check_mark': '✔️', 'ballot_box_with_check': '☑️', 'x': '❌',
  'negative_squared_cross_mark': '❎', 'heavy_plus_sign': '➕', 'heavy_minus_sign': '➖', 'question': '❓',
  'exclamation': '❗', 'bangbang': '‼️', 'warning': '⚠️', 'no_entry': '⛔', 'no_entry_sign': '🚫',
  'information_source': 'ℹ️', 'arrow_right': '➡️', 'arrow_left': '⬅️', 'arrow_up': '⬆️', 'arrow_down':
  '⬇️', 'arrows_counterclockwise': '🔄', 'recycle': '♻️', 'red_circle': '🔴', 'large_orange_circle': '🟠',
  'large_yellow_circle': '🟡', 'large_green_circle': '🟢', 'large_blue_circle': '🔵', 'large_purple_circle':
  '🟣', 'white_circle': '⚪', 'black_circle': '⚫', 'red_square': '🟥', 'green_square': '🟩', 'new': '🆕', 'ok':
  '🆗', 'up': '🆙', 'soon': '🔜', 'top': '🔝',
  'bulb': '💡', 'mag': '🔍', 'mag_right': '🔎', 'lock': '🔒', 'unlock': '🔓', 'key': '🔑', 'bell': '🔔',
  'no_bell': '🔕', 'loudspeaker': '📢', 'mega': '📣', 'speech_balloon': '💬', 'thought_balloon': '💭',
  'left_speech_bubble': '🗨️', 'email': '📧', 'envelope': '✉️', 'inbox_tray': '📥', 'outbox_tray': '📤',
  'mailbox': '📫', 'telephone_receiver': '📞', 'iphone': '📱', 'computer': '💻', 'keyboard': '⌨️',
  'desktop_computer': '🖥️', 'printer': '🖨️', 'floppy_disk': '💾', 'package': '📦', 'calendar': '📅', 'date':
  '📆', 'spiral_calendar_pad': '🗓️', 'clock9': '🕘', 'alarm_clock': '⏰', 'hourglass': '⌛',
  'hourglass_flowing_sand': '⏳', 'stopwatch': '⏱️', 'memo': '📝', 'pencil': '✏️', 'pencil2': '✏️',
  'clipboard': '📋', 'file_folder': '📁', 'open_file_folder': '📂', 'card_index': '📇', 'bar_chart': '📊',
  'chart_with_upwards_trend': '📈', 'chart_with_downwards_trend': '📉', 'page_facing_up': '📄', 'bookmark':
  '🔖', 'books': '📚', 'book': '📖', 'link': '🔗', 'paperclip': '📎', 'pushpin': '📌', 'round_pushpin': '📍',
  'scissors': '✂️', 'wrench': '🔧', 'hammer': '🔨', 'hammer_and_wrench': '🛠️', 'gear': '⚙️', 'toolbox': '🧰',
  'broom': '🧹', 'wastebasket': '🗑️', 'moneybag': '💰', 'dollar': '💵', 'euro': '💶', 'briefcase': '💼',
  'crystal_ball': '🔮', 'robot_face': '🤖', 'ghost': '👻', 'skull': '💀', 'bug': '🐛', 'bee': '🐝', 'turtle':
  '🐢', 'unicorn_face': '🦄', 'dog': '🐶', 'cat': '🐱', 'owl': '🦉', 'penguin': '🐧', 'whale': '🐳', 'elephant':
  '🐘', 'zzz': '💤', 'pause_button': '⏸️', 'double_vertical_bar': '⏸️', 'arrow_forward': '▶️',
  'fast_forward': '⏩', 'stop_button': '⏹️',
  'one': '1️⃣', 'two': '2️⃣', 'three': '3️⃣', 'four': '4️⃣', 'five': '5️⃣', 'de': '🇩🇪', 'us': '🇺🇸', 'gb':
  '🇬🇧', 'fr': '🇫🇷', 'jp': '🇯🇵', 'in': '🇮🇳', 'br': '🇧🇷',
};

/** The emoji called `name` (without colons), or null. A skin tone behind the name (`wave::skin-tone-2`) is left out. */
export function emojiOf(name) {
  const known = String(name).split('::')[0];
  return Object.hasOwn(EMOJI, known) ? EMOJI[known] : null;
}
